"""Checks the requirements of `make deploy` before anything is built, and reports all problems at once."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.console import CommandError, note
from scripts.deployment import account_limits, terraform
from scripts.deployment.aws_session import client_in
from scripts.deployment.environment_config import EnvironmentConfig
from scripts.packaging.builders import Builder, find_builder

MakeClient = Callable[[str, str | None], Any]
"""(service, region or None for the shell's) -> a client."""


def check(
    environment: str, config: EnvironmentConfig, choice: str | None, make_client: MakeClient | None = None
) -> Builder:
    """Check everything, and return the builder.

    Raises:
        CommandError: everything that is missing, with remedies.
    """
    problems: list[str] = []
    builder: Builder | None = None
    try:
        builder = find_builder(choice)
    except CommandError as failure:
        problems.append(str(failure))
    folder = terraform.ENVIRONMENTS / environment
    settings: dict[str, str] = {}
    try:
        terraform.environment_env(environment)
        terraform.check_backend(folder, environment)
        settings = backend_settings(folder / "backend.hcl")
    except CommandError as failure:
        problems.append(str(failure))
    problems += _problems_of_account(make_client or client_in, settings, config)
    if problems or builder is None:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise CommandError(f"{environment} can't be deployed yet:{lines}")
    return builder


def backend_settings(path: Path) -> dict[str, str]:
    """The strings that a backend file sets."""
    return dict(re.findall(r'^\s*(\w+)\s*=\s*"([^"]*)"', path.read_text(encoding="utf-8"), re.MULTILINE))


def _problems_of_account(make_client: MakeClient, settings: dict[str, str], config: EnvironmentConfig) -> list[str]:
    from botocore.exceptions import BotoCoreError, ClientError

    from scripts.aws_errors import describe_aws_error

    try:
        make_client("sts", config.region).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        return [describe_aws_error(error)]  # the other calls would fail in the same way
    problems = []
    if bucket := settings.get("bucket"):
        try:
            make_client("s3", settings.get("region")).head_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError) as error:
            problems.append(
                f"the state bucket {bucket} can't be used ({describe_aws_error(error)}): `make bootstrap` creates it,"
                " or ask for access"
            )
    try:
        limits = make_client("lambda", config.region).get_account_settings()["AccountLimit"]
    except (BotoCoreError, ClientError) as error:
        note(
            f"the account's Lambda limits can't be read ({describe_aws_error(error)}): "
            "see docs/deploy.md, Limits of the account"
        )
        return problems
    concurrency = int(limits["ConcurrentExecutions"])
    for warning in account_limits.warnings(config, concurrency):
        note(f"{warning} (docs/deploy.md, Limits of the account)")
    return problems + account_limits.problems(config, concurrency)
