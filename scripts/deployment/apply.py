"""Plan or apply an environment: build its zips, check open requests of removed models, run Terraform, print next steps.

An apply first stores which versions serve beside canaries (rollout.py).

    python -m scripts.deployment.apply [--env ENVIRONMENT] [ARGUMENT]...
    python -m scripts.deployment.apply --plan [--env ENVIRONMENT] [--offline 0|1] [ARGUMENT]...

The arguments are Terraform's. Offline is against an empty account, without calling AWS; it is the default where nothing
names an account.
"""

import argparse
from collections.abc import Sequence

from scripts.console import run
from scripts.deployment import offline_plan, removal, rollout, terraform
from scripts.deployment.environment_config import EnvironmentConfig, read_config
from scripts.operate.endpoint import print_next
from scripts.packaging import package


def apply(environment: str, arguments: Sequence[str] = (), *, plan: bool = False) -> int:
    """Build an environment's zips, and plan or apply it. Returns Terraform's exit code.

    Raises:
        CommandError: see `package.build_for_environment` and `run_terraform`.
    """
    config = read_config(environment)
    package.show(package.build_for_environment(package.OUT, environment, config))
    return run_terraform("plan" if plan else "apply", environment, config, arguments)


def run_terraform(command: str, environment: str, config: EnvironmentConfig, arguments: Sequence[str] = ()) -> int:
    """Plan or apply, after a check of the requests of models that it would remove. Returns Terraform's exit code.

    Raises:
        CommandError: see `terraform.execute` and `removal.check`.
    """
    if code := terraform.prepare(command, environment):
        return code
    if not any(argument.startswith("-target") for argument in arguments):
        queues = {name: f"{config.prefix}-{model.worker}" for name, model in config.models.items()}
        removal.check(environment, command, queues)
        if command == "apply":
            rollout.hold(environment, config)
    code = terraform.execute(command, environment, arguments)
    if code == 0 and command == "apply" and environment == terraform.LOCAL:
        print_next(environment)  # Terraform's `api_url` does not exist in DNS
    return code


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="apply", description="Plan or apply an environment.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--plan", action="store_true", help="only show what would change")
    parser.add_argument("--offline", help="with --plan: 1 plans against an empty account, 0 never does")
    args, arguments = parser.parse_known_args()
    if args.plan and offline_plan.chosen(args.env, args.offline):
        return offline_plan.plan(args.env, arguments)
    return apply(args.env, arguments, plan=args.plan)


if __name__ == "__main__":
    run(main)
