"""AWS clients for the commands: for the emulator, or for the account and region of a deployed environment."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from scripts.deployment import terraform


def client(environment: str, service: str, outputs: Mapping[str, Any]) -> Any:
    """A boto3 client of a service for a deployed environment, whose outputs say its region.

    Raises:
        CommandError: dev or prod, but AWS_ENDPOINT_URL names an emulator.
        BotoCoreError: an AWS file can't be read, or names no such profile; `console.run` says which.
    """
    return client_of(environment, service, region_of(outputs))


def client_of(environment: str, service: str, region: str | None) -> Any:
    """As `client`, for an environment that need not be deployed yet, whose files say its region (None: the shell's)."""
    env = terraform.environment_env(environment)
    return client_with(env, service) if environment == terraform.LOCAL else client_in(service, region)


def client_with(env: Mapping[str, str], service: str) -> Any:
    """A boto3 client of a service of an emulator, whose whole environment is given: see `Emulator.client_env`."""
    import boto3

    with _environment(env):  # the session reads the process's environment variables, and the files that they name
        return boto3.Session(
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            region_name=env["AWS_REGION"],
        ).client(service, endpoint_url=env["AWS_ENDPOINT_URL"])


def client_in(service: str, region: str | None) -> Any:
    """A boto3 client of a service in a region of AWS, with the shell's credentials; None: the shell's region.

    Raises:
        BotoCoreError: as `client`.
    """
    import boto3

    return boto3.Session(region_name=region).client(service)


def region_of(outputs: Mapping[str, Any]) -> str | None:
    """The region of a deployment, from a queue's URL (https://sqs.<region>.<suffix>/...); the shell may differ."""
    for url in outputs.get("queue_urls", {}).values():
        parts = (urlsplit(str(url)).hostname or "").split(".")
        if parts[0] == "sqs" and len(parts) > 2:
            return parts[1]
    return None


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
