"""The published versions of a deployment's functions: which serves, and how another one takes over.

What serves is what the alias `live` says. Which version was last decided on is also stored in an SSM parameter, so that
every later plan, on any machine, agrees: /<name prefix>/kept-versions/<function>, such as

    {"version": "6", "rejected": ["7"], "package_type": "Image"}

A new version serves at once, or gets its share as a canary beside `version`. Those in `rejected` were rolled back, or
passed over: they serve only when they are promoted. terraform/modules/function/rollout.tf has the same rules.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts.aws_errors import describe_aws_error
from scripts.console import CommandError
from scripts.deployment.deployed_images import parameters_below

ALIAS = "live"
KEPT_VERSIONS = 5
"""The newest versions of a function that are never deleted."""


def every_version(client: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """The configuration of each version of a function, $LATEST among them.

    Args:
        client: a Lambda client.
    """
    for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name):
        yield from page["Versions"]


@dataclass(frozen=True)
class Versions:
    """The versions of a function.

    Attributes:
        name: of the function.
        published: the newest first.
        live: the version that serves.
        canary: the one that gets the share `weight` of the invocations beside it.
        rejected: those that only `promote` lets serve.
        kept: the one that was last decided on.
    """

    name: str
    published: tuple[int, ...]
    live: int
    canary: int | None = None
    weight: float = 0.0
    rejected: frozenset[int] = frozenset()
    kept: int | None = None

    @property
    def previous(self) -> int | None:
        """The version that served before `live`."""
        return next((number for number in self.published if number < self.live and number not in self.rejected), None)

    @property
    def old(self) -> list[int]:
        """Those that nobody needs any more."""
        needed = {self.live, self.canary, self.previous, self.kept, *self.published[:KEPT_VERSIONS]}
        return [number for number in self.published if number not in needed]


class Rollouts:
    """Reads and changes which versions of an environment's functions serve.

    Args:
        functions: a Lambda client.
        parameters: an SSM client.
        path: /<name prefix>/kept-versions/; None where Terraform does not read the parameters, so that none is written.
    """

    def __init__(self, functions: Any, parameters: Any, path: str | None) -> None:
        self._functions = functions
        self._parameters = parameters
        self._path = path
        self._stored = self._read_parameters()

    def read(self, name: str) -> Versions | None:
        """The versions of a function; None if it does not exist."""
        try:
            alias = self._functions.get_alias(FunctionName=name, Name=ALIAS)
        except self._functions.exceptions.ResourceNotFoundException:
            return None
        numbers = [version["Version"] for version in every_version(self._functions, name)]
        published = sorted((int(number) for number in numbers if number != "$LATEST"), reverse=True)
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        canary, weight = next(iter(weights.items()), (None, 0.0))
        stored = json.loads(self._stored.get(name, "{}"))
        return Versions(
            name,
            tuple(published),
            int(alias["FunctionVersion"]),
            int(canary) if canary else None,
            float(weight),
            frozenset(map(int, stored.get("rejected", ()))) & frozenset(published),
            int(stored["version"]) if stored else None,
        )

    def hold(self, canaries: Iterable[str]) -> None:
        """Before an apply: store which versions serve, so that they go on beside those that the apply publishes.

        Args:
            canaries: names of the functions whose new versions are canaries.
        """
        wanted = frozenset(canaries)
        for name in sorted(wanted | self._stored.keys()):
            versions = self.read(name)
            if versions is None:
                self._write(name, None)  # of a function that was deleted the numbers mean nothing
            elif name in wanted:
                self._keep(versions, versions.live, versions.rejected)

    def promote(self, versions: Versions) -> int:
        """Let the canary, else the newest version, of a function have all invocations. Returns its number.

        Raises:
            CommandError: it has them already; or the decision can't be stored.
        """
        newest = versions.canary or versions.published[0]
        if newest == versions.live:
            raise CommandError(f"nothing to promote: version {newest} of {versions.name} has all invocations")
        passed_over = {number for number in versions.published if versions.live < number < newest}
        self._serve(versions, newest, (versions.rejected | passed_over) - {newest})
        return newest

    def rollback(self, versions: Versions, to: int | None = None) -> int:
        """End a canary, else go back to the version before the one that serves. Returns the number of what serves now.

        Args:
            versions: of the function.
            to: to this version.

        Raises:
            CommandError: there is no such version, or none before; or the decision can't be stored.
        """
        target = to or (versions.live if versions.canary else versions.previous)
        if target is None or target not in versions.published:
            what = "previous version" if target is None else f"version {target}"
            raise CommandError(
                f"{versions.name} has no {what}: version {versions.live} serves, and these are published: "
                f"{', '.join(map(str, versions.published))}"
            )
        newer = {number for number in versions.published if number > target}
        self._serve(versions, target, (versions.rejected | newer) - {target})
        return target

    def prune(self, versions: Versions) -> list[int]:
        """Delete old versions of a function. Returns their numbers."""
        for number in versions.old:
            self._functions.delete_function(FunctionName=versions.name, Qualifier=str(number))
        return versions.old

    def _serve(self, versions: Versions, number: int, rejected: Iterable[int]) -> None:
        # First what serves: a rollback is urgent, and the parameter only matters to the next apply.
        self._functions.update_alias(
            FunctionName=versions.name,
            Name=ALIAS,
            FunctionVersion=str(number),
            RoutingConfig={"AdditionalVersionWeights": {}},
        )
        try:
            self._keep(versions, number, rejected)
        except (BotoCoreError, ClientError) as error:
            raise CommandError(
                f"version {number} of {versions.name} serves, but the next apply may change that, since the parameter "
                f"{self._parameter(versions.name)} was not written: {describe_aws_error(error)}. Run it again"
            ) from error

    def _keep(self, versions: Versions, number: int, rejected: Iterable[int]) -> None:
        if self._path is None:
            return
        found = self._functions.get_function_configuration(FunctionName=versions.name)
        decision = {
            "version": str(number),
            "rejected": [str(each) for each in sorted(rejected)],
            "package_type": found["PackageType"],
        }
        self._write(versions.name, json.dumps(decision))

    def _read_parameters(self) -> dict[str, str]:
        """Name of a function -> value of its parameter."""
        if self._path is None:
            return {}
        found = parameters_below(self._parameters, self._path)
        return {self._prefix + name: value for name, value in found.items()}

    def _write(self, name: str, value: str | None) -> None:
        if value is None:
            self._parameters.delete_parameters(Names=[self._parameter(name)])
            self._stored.pop(name, None)
        elif self._stored.get(name) != value:
            self._parameters.put_parameter(Name=self._parameter(name), Value=value, Type="String", Overwrite=True)
            self._stored[name] = value

    def _parameter(self, name: str) -> str:
        return f"{self._path}{name.removeprefix(self._prefix)}"

    @property
    def _prefix(self) -> str:
        """Begins the functions' names, and, between slashes, the path."""
        return f"{(self._path or '').split('/')[1]}-"
