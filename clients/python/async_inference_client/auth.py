"""How calls are authenticated: any `httpx2.Auth`, or one of these."""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import httpx2

from async_inference_client.errors import CredentialsError

SERVICE = "execute-api"
API_KEY_HEADER = "X-Api-Key"

_API_HOST = re.compile(r"\.execute-api\.([a-z]+(?:-[a-z]+)+-\d+)\.")
"""`<id>.execute-api.<region>.<suffix>`: amazonaws.com, amazonaws.com.cn, amazonaws.eu by partition."""

_SIGNED = ("content-type", "idempotency-key")
"""The signed headers, besides Host and botocore's own: others may be changed on the way, by a proxy."""


def region_in(url: str) -> str | None:
    """The region in API Gateway's own host name; None for a custom domain and for other hosts."""
    named = _API_HOST.search(httpx2.URL(url).host)
    return named[1] if named else None


class BearerToken(httpx2.Auth):
    """A token, for a JWT authorizer.

    Args:
        token: the token, or a function that returns one that is valid now. It is called for each HTTP call; with
            AsyncClient it must not block.
    """

    def __init__(self, token: str | Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the header."""
        token = self._token if isinstance(self._token, str) else self._token()
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


class ApiKey(httpx2.Auth):
    """An API key, for an API_KEY authorizer.

    Args:
        key: the key, as `make api-key` printed it.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the header."""
        request.headers[API_KEY_HEADER] = self._key
        yield request


class SigV4(httpx2.Auth):
    """AWS Signature Version 4, for an AWS_IAM authorizer. It needs botocore: `async-inference-client[iam]`.

    Each call, and so each retry, has a signature of its own, with credentials that are valid then.

    Args:
        region: where the host names none, as a custom domain; by default the shell's or the profile's.
        profile: a profile of the AWS configuration; by default what the shell says.

    Raises:
        CredentialsError: there are no credentials, or the profile does not exist.
        ImportError: botocore is not installed.
    """

    requires_request_body = True

    def __init__(self, region: str | None = None, *, profile: str | None = None) -> None:
        import botocore.exceptions
        import botocore.session

        self._session = botocore.session.Session(profile=profile)
        self._region = region
        try:
            self._credentials = self._session.get_credentials()
        except botocore.exceptions.BotoCoreError as error:
            raise CredentialsError(f"the AWS credentials can't be read: {error}") from error
        if self._credentials is None:
            raise CredentialsError("there are no AWS credentials: set AWS_PROFILE, or log in")

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sign the request."""
        request.read()
        self._sign(request)
        yield request

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Sign the request. Temporary credentials may be renewed over the network, so it has a thread."""
        await request.aread()
        await asyncio.to_thread(self._sign, request)
        yield request

    def _sign(self, request: httpx2.Request) -> None:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        headers = {name: request.headers[name] for name in _SIGNED if name in request.headers}
        signed = AWSRequest(request.method, str(request.url), headers, request.content)
        SigV4Auth(self._frozen(), SERVICE, self._region_of(str(request.url))).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))

    def _frozen(self) -> Any:
        import botocore.exceptions

        try:
            return self._credentials.get_frozen_credentials()
        except botocore.exceptions.BotoCoreError as error:
            raise CredentialsError(f"the AWS credentials can't be renewed: {error}") from error

    def _region_of(self, url: str) -> str:
        # botocore itself reads AWS_DEFAULT_REGION and the profile, but not AWS_REGION.
        found = region_in(url) or self._region or os.environ.get("AWS_REGION")
        found = found or self._session.get_config_variable("region")
        if not found:
            raise CredentialsError(
                f"a signature needs the region, which {httpx2.URL(url).host} does not contain: name it, or"
                " set AWS_REGION"
            )
        return str(found)
