"""How commands talk to a deployment's API: who signs, and what its errors mean for a command and its user."""

import os

import httpx2

from async_inference_client import ApiKey, BearerToken, SigV4
from async_inference_client.errors import CredentialsError, InferenceError, ResponseError, UnknownRequest, WaitTimeout
from scripts.console import CommandError

FAILED, USAGE, NOT_FOUND, TIMEOUT = 1, 2, 3, 4
"""Exit codes: the request did not succeed; usage, a rejected input, or no connection; no such request; not in time."""


TOKEN = "API_TOKEN"
"""The environment variable with a bearer token, for a JWT authorizer."""


KEY = "API_KEY"
"""The environment variable with an API key, for an API_KEY authorizer."""


def credential() -> httpx2.Auth | None:
    """Sends the shell's API key or token; None if there is neither.

    Raises:
        CommandError: there are both.
    """
    key, token = os.environ.get(KEY), os.environ.get(TOKEN)
    if key and token:
        raise CommandError(f"{KEY} and {TOKEN} are both set: unset the one that the authorizer does not read", USAGE)
    if key:
        return ApiKey(key)
    return BearerToken(token) if token else None


def signer(*, required: bool, region: str | None) -> httpx2.Auth | None:
    """Signs with the caller's AWS credentials; None when there are none and none are required.

    Raises:
        CommandError: a signature is required, and there are no credentials.
    """
    try:
        return SigV4(region)
    except CredentialsError as error:
        if required:
            raise explain(error) from error
        return None


def explain(error: InferenceError) -> CommandError:
    """The error as a command shows it, with its exit code."""
    if isinstance(error, WaitTimeout):
        return CommandError(
            f"{error.request_id} is not done after {error.seconds:g} s and continues: --resume {error.request_id}",
            TIMEOUT,
        )
    if isinstance(error, UnknownRequest):
        asked_for = f"there is no request {error.request_id}" if error.request_id else str(error)
        return CommandError(f"{asked_for} (it may have been deleted after its retention)", NOT_FOUND)
    return CommandError(f"rejected: {error}" if isinstance(error, ResponseError) else str(error), USAGE)
