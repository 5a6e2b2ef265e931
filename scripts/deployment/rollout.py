"""Show the versions of an environment's functions, promote a canary, or go back.

    python -m scripts.deployment.rollout versions|promote|rollback [--env ENVIRONMENT] [FUNCTION] [--version N]

FUNCTION is `--model NAME`, `--pool NAME` or `--function api`. The change is at once, and later plans agree with it
where the environment has images_from_parameters (versions.py). `make apply` and `make deploy` call `hold` before
Terraform, and `make deploy` calls `finish` after its smoke test.
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from scripts.console import CommandError, note, run
from scripts.deployment import aws_session, terraform
from scripts.deployment.environment_config import EnvironmentConfig
from scripts.deployment.versions import Rollouts, Versions

API = "api"
WORKER = "worker/"
SYNC = "sync/"


def hold(environment: str, config: EnvironmentConfig) -> None:
    """Before an apply: store which versions serve beside the canaries that the apply may publish."""
    if config.images_from_parameters:
        functions, parameters = (aws_session.client_of(environment, each, config.region) for each in ("lambda", "ssm"))
        Rollouts(functions, parameters, f"/{config.prefix}/kept-versions/").hold(config.canaries)


def finish(environment: str) -> None:
    """After a deployment that works: delete old versions, and print which canaries wait for a decision."""
    outputs = terraform.outputs(environment)
    rollouts = _rollouts(environment, outputs)
    for role, name in sorted(outputs["function_names"].items()):
        versions = _read(rollouts, name)
        if old := rollouts.prune(versions):
            note(f"{role}: deleted the old versions {_listed(old)}")
        if versions.canary:
            on = f"ENV={environment} {_variable(role, outputs)}"
            note(
                f"{role}: the new version {versions.canary} gets {versions.weight:.0%} of the invocations; the alarm"
                f" {name}-canary counts its errors. Then `make promote {on}` or `make rollback {on}`"
            )


def _rollouts(environment: str, outputs: Mapping[str, Any]) -> Rollouts:
    functions, parameters = (aws_session.client(environment, each, outputs) for each in ("lambda", "ssm"))
    return Rollouts(functions, parameters, outputs["kept_versions_path"])


def _read(rollouts: Rollouts, name: str) -> Versions:
    versions = rollouts.read(name)
    if versions is None:
        raise CommandError(f"the function {name} does not exist any more, or has no alias: apply the environment")
    return versions


def _role(environment: str, outputs: Mapping[str, Any], args: argparse.Namespace) -> str | None:
    """The function that the command line names; None if it names none."""
    workers = sorted(role.removeprefix(WORKER) for role in outputs["function_names"] if role.startswith(WORKER))
    pools: Mapping[str, list[str]] = outputs["pools"]
    if sum(each is not None for each in (args.model, args.pool, args.function)) > 1:
        raise CommandError("name one of MODEL, POOL and FUNCTION", 2)
    if args.function is not None:
        able = [role for role in sorted(outputs["function_names"]) if role == API or role.startswith(SYNC)]
        if args.function not in able:
            known = ", ".join(able)
            raise CommandError(
                f"FUNCTION={args.function}: it must be one of {known}; for a worker set MODEL or POOL", 2
            )
        return str(args.function)
    if args.pool is not None and args.pool not in pools:
        raise CommandError(f"{environment} has no pool {args.pool}: it has {', '.join(sorted(pools)) or 'none'}", 2)
    for pool, models in pools.items():
        if args.model in models:
            others = ", ".join(models)
            raise CommandError(f"{args.model} is in the pool {pool}, whose worker runs {others}: set POOL={pool}", 2)
    if args.model is not None and (args.model not in workers or args.model in pools):
        known = ", ".join(worker for worker in workers if worker not in pools) or "none"
        raise CommandError(f"{environment} has no worker of a model {args.model}: it has {known}", 2)
    name = args.model or args.pool
    return f"{WORKER}{name}" if name else None


def _variable(role: str, outputs: Mapping[str, Any]) -> str:
    """How the command line names a function."""
    worker = role.removeprefix(WORKER)
    return f"FUNCTION={role}" if worker == role else f"{'POOL' if worker in outputs['pools'] else 'MODEL'}={worker}"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def show(outputs: Mapping[str, Any], found: Mapping[str, Versions]) -> None:
    """Print a line for each function."""
    from rich.console import Console
    from rich.table import Table

    table = Table("function", "serves", "canary", "rollback to", "published (rejected)")
    for role, versions in found.items():
        canary = f"{versions.canary} ({versions.weight:.0%})" if versions.canary else ""
        back = versions.live if versions.canary else versions.previous
        numbers = [f"({number})" if number in versions.rejected else str(number) for number in versions.published]
        table.add_row(
            _variable(role, outputs), str(versions.live), canary, "" if back is None else str(back), ", ".join(numbers)
        )
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="rollout", description="The published versions of the functions.")
    parser.add_argument("command", choices=("versions", "promote", "rollback"))
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--model", help="the worker of this model")
    parser.add_argument("--pool", help="the worker of this pool")
    parser.add_argument("--function", help=API)
    parser.add_argument("--version", type=int, help="rollback: to this version (default: the one before)")
    args = parser.parse_args()
    outputs = terraform.outputs(args.env)
    chosen = _role(args.env, outputs, args)
    if args.command == "rollback" and chosen is None:
        raise CommandError("which function? MODEL=name, POOL=name or FUNCTION=api; `make versions` lists them", 2)
    rollouts = _rollouts(args.env, outputs)
    names: Mapping[str, str] = outputs["function_names"]
    roles = [chosen] if chosen else [role for role in sorted(names) if role == API or role.startswith((WORKER, SYNC))]
    found = {role: _read(rollouts, names[role]) for role in roles}
    if args.command == "versions":
        show(outputs, found)
        return 0
    if args.command == "promote" and chosen is None:
        found = {role: versions for role, versions in found.items() if versions.canary}
        if not found:
            raise CommandError(f"nothing to promote: {args.env} has no canary")
    for role, versions in found.items():
        number = rollouts.promote(versions) if args.command == "promote" else rollouts.rollback(versions, args.version)
        note(f"{role}: version {number} has all invocations (before: {versions.live}{_beside(versions)})")
        if outputs["kept_versions_path"] is None:
            note(f"{role}: the next apply lets the newest version, {versions.published[0]}, serve again")
    return 0


def _beside(versions: Versions) -> str:
    return f", and {versions.canary} as its canary" if versions.canary else ""


if __name__ == "__main__":
    run(main)
