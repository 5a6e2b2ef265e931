"""Versions of a function: what serves after a canary, its promotion and a rollback, and which stay; with a fake AWS."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scripts.console import CommandError
from scripts.deployment.versions import Rollouts, Versions

PREFIX = "inference-dev"
PATH = f"/{PREFIX}/kept-versions/"


def package(text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("handler.py", text)
    return data.getvalue()


class Function:
    """A function with published versions, and the parameters of its environment."""

    def __init__(self, name: str, versions: int = 1) -> None:
        self.name = f"{PREFIX}-{name}"
        self.parameter = f"{PATH}{name}"
        self.client = boto3.client("lambda")
        self.parameters = boto3.client("ssm")
        trusted: dict[str, Any] = {"Version": "2012-10-17", "Statement": []}
        role = boto3.client("iam").create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(trusted))
        self.client.create_function(
            FunctionName=self.name,
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="handler.handler",
            Code={"ZipFile": package("0")},
            Publish=True,
        )
        self.client.create_alias(FunctionName=self.name, Name="live", FunctionVersion="1")
        for number in range(1, versions):
            self.client.update_function_code(FunctionName=self.name, ZipFile=package(str(number)), Publish=True)
        self.serve(versions)

    def serve(self, version: int, weights: dict[str, float] | None = None) -> None:
        """As Terraform does it."""
        routing: Any = {"AdditionalVersionWeights": weights or {}}
        self.client.update_alias(
            FunctionName=self.name, Name="live", FunctionVersion=str(version), RoutingConfig=routing
        )

    def publish(self) -> int:
        """Another version, which serves at once. Returns its number."""
        number = self.versions().published[0] + 1
        self.client.update_function_code(FunctionName=self.name, ZipFile=package(str(number)), Publish=True)
        self.serve(number)
        return number

    @property
    def rollouts(self) -> Rollouts:
        return Rollouts(self.client, self.parameters, PATH)

    def versions(self) -> Versions:
        versions = self.rollouts.read(self.name)
        assert versions
        return versions

    def rollback(self, to: int | None = None) -> int:
        return self.rollouts.rollback(self.versions(), to)

    def promote(self) -> int:
        return self.rollouts.promote(self.versions())

    def serving(self) -> tuple[int, int | None, float]:
        versions = self.versions()
        return versions.live, versions.canary, versions.weight

    def stored(self) -> dict[str, Any] | None:
        found = self.parameters.get_parameters(Names=[self.parameter])["Parameters"]
        return json.loads(found[0]["Value"]) if found else None


def decision(version: int, *rejected: int) -> dict[str, Any]:
    return {"version": str(version), "rejected": [str(number) for number in rejected], "package_type": "Zip"}


@pytest.fixture
def name(on_moto: None, request: pytest.FixtureRequest) -> str:
    """Of a function that no other test has."""
    return f"worker-{abs(hash(request.node.name)) % 10**8}"


def test_a_rollback_goes_to_the_version_before_and_is_stored(name: str) -> None:
    function = Function(name, versions=3)
    assert (function.rollback(), function.serving()) == (2, (2, None, 0))
    assert function.stored() == decision(2, 3)
    assert function.rollback() == 1, "and again"
    assert function.stored() == decision(1, 2, 3)
    with pytest.raises(CommandError, match=r"no previous version: version 1 serves, and these are published: 3, 2, 1"):
        function.rollback()
    assert function.serving() == (1, None, 0)


def test_a_rollback_never_goes_to_a_version_that_was_rolled_back(name: str) -> None:
    function = Function(name, versions=2)
    function.rollback()
    for bad in (3, 4):
        assert function.publish() == bad
        assert function.rollback() == 1
        assert function.stored() == decision(1, *range(2, bad + 1))


def test_a_rollback_to_a_version(name: str) -> None:
    function = Function(name, versions=4)
    assert function.rollback(2) == 2
    assert function.stored() == decision(2, 3, 4)
    with pytest.raises(CommandError, match="no version 9"):
        function.rollback(9)
    assert function.rollback(3) == 3, "forward again"
    assert function.stored() == decision(3, 4)


def test_a_rollback_of_a_canary_ends_it(name: str) -> None:
    function = Function(name, versions=3)
    function.serve(2, {"3": 0.1})
    assert function.serving() == (2, 3, 0.1)
    assert function.rollback() == 2
    assert (function.serving(), function.stored()) == ((2, None, 0), decision(2, 3))


def test_a_promoted_canary_serves_alone_and_a_rollback_passes_over_the_canary_before_it(name: str) -> None:
    function = Function(name, versions=3)
    function.serve(1, {"3": 0.1})
    assert function.promote() == 3
    assert (function.serving(), function.stored()) == ((3, None, 0), decision(3, 2))
    assert function.rollback() == 1


def test_what_was_rolled_back_can_be_promoted(name: str) -> None:
    function = Function(name, versions=2)
    function.rollback()
    assert function.promote() == 2
    assert (function.serving(), function.stored()) == ((2, None, 0), decision(2))


def test_where_the_newest_serves_there_is_nothing_to_promote(name: str) -> None:
    with pytest.raises(CommandError, match=f"nothing to promote: version 2 of {PREFIX}-{name} has all invocations"):
        Function(name, versions=2).promote()


def test_before_an_apply_the_versions_that_serve_are_stored(name: str) -> None:
    """Of functions with a canary; a rollback stays, and what is stored of a function that is gone is deleted."""
    function, other = Function(name, versions=3), Function(f"{name}-other")
    function.parameters.put_parameter(Name=f"{PATH}worker-gone", Value=json.dumps(decision(4)), Type="String")
    function.rollback()
    function.rollouts.hold({function.name, f"{PREFIX}-worker-new"})
    assert (function.stored(), other.stored()) == (decision(2, 3), None)
    function.serve(1)
    function.rollouts.hold({function.name, other.name})
    assert (function.stored(), other.stored()) == (decision(1, 3), decision(1))
    function.rollouts.hold(())
    assert function.stored() == decision(1, 3)
    names = [found["Name"] for found in function.parameters.describe_parameters()["Parameters"]]
    assert f"{PATH}worker-gone" not in names
    assert f"{PATH}worker-new" not in names


def test_old_versions_are_deleted_except_what_serves_and_what_served_before(name: str) -> None:
    function = Function(name, versions=12)
    function.serve(6, {"7": 0.1})
    assert function.rollouts.prune(function.versions()) == [4, 3, 2, 1]
    assert function.versions().published == (12, 11, 10, 9, 8, 7, 6, 5)


def test_the_version_that_was_decided_on_is_not_deleted(name: str) -> None:
    """The next apply needs it, whatever the alias says meanwhile."""
    function = Function(name, versions=12)
    function.serve(2)
    function.rollouts.hold({function.name})
    function.serve(12)
    function.rollouts.prune(function.versions())
    assert function.versions().published == (12, 11, 10, 9, 8, 2)


def test_without_a_path_nothing_is_stored(name: str) -> None:
    function = Function(name, versions=2)
    rollouts = Rollouts(function.client, function.parameters, None)
    assert rollouts.rollback(function.versions()) == 1
    assert (function.serving(), function.stored()) == ((1, None, 0), None)


def test_a_rollback_that_can_not_be_stored_serves_and_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function = Function(name, versions=2)
    rollouts, versions = function.rollouts, function.versions()

    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not you"}}, "PutParameter")

    monkeypatch.setattr(function.parameters, "put_parameter", denied)
    with pytest.raises(
        CommandError, match=rf"version 1 of \S+ serves, but .*{PATH}{name} was not written: .*permission"
    ):
        rollouts.rollback(versions)
    assert function.serving() == (1, None, 0)
