"""Where a service is and who calls it, from the environment, for the lean clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from inference.aws.signing import Credentials
from inference.aws.wire import Host

if TYPE_CHECKING:
    from inference.aws.credentials import ContainerCredentials

_Signer = TypeVar("_Signer")

# If one of these is set, boto3 is needed.
_ONLY_BOTO3 = (
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
)
_UNSET_VALUES = ("", "false", os.devnull.lower())  # the null device as AWS_CONFIG_FILE: no file at all
_ISOLATED_REGIONS = ("us-iso", "eu-iso", "eusc-")
"""Prefixes of regions whose endpoints are in other domains."""


class Connection(NamedTuple):
    """A service's host, the value of the Host header, its region, and what gives the credentials: it may take so many
    seconds."""

    host: Host
    host_header: str
    region: str
    credentials: Callable[[float], Credentials]


def connection_from_environment(
    service: str,
    environment: Mapping[str, str],
    connect_timeout: float,
    read_timeout: float,
    subdomain: str = "",
) -> Connection | None:
    """The connection to a service, or None if the environment needs boto3. Timeouts in seconds.

    `subdomain` is put before AWS's own host name; an endpoint that the environment names is used as it is.
    """
    if any(environment.get(name, "").lower() not in _UNSET_VALUES for name in _ONLY_BOTO3):
        return None
    region = environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION")
    access_key = environment.get("AWS_ACCESS_KEY_ID")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
    container = None
    if not (access_key and secret_key):
        container = _container_credentials(environment, connect_timeout, read_timeout)
    if not region or not ((access_key and secret_key) or container):
        return None
    url = configured_endpoint(service, environment)
    if not url:
        if region.startswith(_ISOLATED_REGIONS):
            return None
        url = f"https://{subdomain}{service}.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    scheme, _, authority = url.lower().removesuffix("/").partition("://")
    name, _, port = authority.partition(":")
    default_port = {"http": 80, "https": 443}.get(scheme)
    if not default_port or not name.replace("-", "").replace(".", "").isalnum() or (port and not port.isdecimal()):
        return None
    ca_bundle = environment.get("AWS_CA_BUNDLE") or environment.get("REQUESTS_CA_BUNDLE")
    host = Host(scheme, name, int(port or default_port), connect_timeout, read_timeout, ca_bundle)
    host_header = name if int(port or default_port) == default_port else authority
    if container:
        return Connection(host, host_header, region, container)
    fixed = Credentials(access_key or "", secret_key or "", environment.get("AWS_SESSION_TOKEN"))
    return Connection(host, host_header, region, lambda seconds: fixed)


def configured_endpoint(service: str, environment: Mapping[str, str]) -> str:
    """The endpoint that the environment names; empty: AWS's own."""
    return environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environment.get("AWS_ENDPOINT_URL") or ""


class CurrentSigner(Generic[_Signer]):
    """Gives a signer with the credentials that are valid now: the same one for as long as they are the same."""

    def __init__(
        self, credentials: Callable[[float], Credentials], sign_with: Callable[[Credentials], _Signer]
    ) -> None:
        self._credentials = credentials
        self._sign_with = sign_with
        self._last: tuple[Credentials, _Signer] | None = None

    def __call__(self, seconds: float) -> _Signer:
        credentials, last = self._credentials(seconds), self._last
        if last is None or last[0] is not credentials:
            last = self._last = (credentials, self._sign_with(credentials))  # one tuple: all threads see matching ones
        return last[1]


def _container_credentials(
    environment: Mapping[str, str], connect_timeout: float, read_timeout: float
) -> ContainerCredentials | None:
    from inference.aws.credentials import ContainerCredentials  # imported only where there are no keys

    return ContainerCredentials.from_environment(environment, connect_timeout, read_timeout)


def trace_header(environment: Mapping[str, str]) -> str:
    """The header that boto3 sends in Lambda, which uses it to detect functions that call each other in a loop."""
    trace = environment.get("_X_AMZN_TRACE_ID", "")
    if not trace.isascii() or not trace.isprintable() or "AWS_LAMBDA_FUNCTION_NAME" not in environment:
        return ""
    return trace and f"x-amzn-trace-id: {trace}\r\n"
