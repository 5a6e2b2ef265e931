"""Credentials from the container endpoint, which Lambda gives a function with SnapStart instead of keys: keys in the
environment would be in the snapshot, and expire with it.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, CredentialRetrievalError, HTTPClientError

from inference.aws.signing import Credentials
from inference.aws.wire import Host

REFRESH_SECONDS = 15 * 60
"""So long before they expire, credentials are fetched again, as boto3 does."""

RETRY_SECONDS = 10
"""If that fails while they are still valid, it is tried again after this time."""

ENDPOINT = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"

_ONLY_BOTO3 = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")

_HTTP_HOSTS = ("localhost", "127.0.0.1", "169.254.170.2", "169.254.170.23")
"""Without TLS, credentials are fetched from this machine only, as by every SDK."""


class _Known(NamedTuple):
    credentials: Credentials
    expires_at: float
    refresh_at: float


class ContainerCredentials:
    """Fetches credentials, and fetches them again before they expire. Safe to share by threads.

    Args:
        host: where the endpoint is. host_header: the value of the Host header.
        path: of the endpoint, with its query.
        environment: has the token in `TOKEN`, which is read for each fetch.
        clock: epoch seconds.
    """

    def __init__(
        self,
        host: Host,
        host_header: str,
        path: str,
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._host_header = host_header
        self._path = path
        self._environment = environment
        self._clock = clock
        self._lock = threading.Lock()
        self._known: _Known | None = None

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> ContainerCredentials | None:
        """For the endpoint that the environment names; None if it names none, or one that needs boto3."""
        scheme, _, rest = environment.get(ENDPOINT, "").partition("://")
        authority, slash, path = rest.partition("/")
        name, _, port = authority.lower().partition(":")
        default_port = {"http": 80, "https": 443}.get(scheme.lower())
        if any(environment.get(other) for other in _ONLY_BOTO3) or not default_port or not _is_plain(name, port, path):
            return None
        if default_port == 80 and name not in _HTTP_HOSTS:
            return None
        host = Host(scheme.lower(), name, int(port or default_port), connect_timeout, read_timeout, None)
        return cls(host, authority, slash + path or "/", environment)

    def __call__(self, seconds: float) -> Credentials:
        """Credentials that are valid now; fetching them takes `seconds` at most.

        Raises:
            BotoCoreError: the endpoint could not be reached, or its answer could not be read, and none are valid.
        """
        known = self._known
        if known is None or self._clock() >= known.refresh_at:
            with self._lock:
                if self._known is known:  # else another thread has fetched them meanwhile
                    self._known = self._refreshed(known, seconds)
                known = self._known
        assert known is not None
        return known.credentials

    def _refreshed(self, known: _Known | None, seconds: float) -> _Known:
        try:
            return self._fetch(seconds)
        except BotoCoreError:
            now = self._clock()
            if known is None or now >= known.expires_at:
                raise
            return known._replace(refresh_at=now + RETRY_SECONDS)

    def _fetch(self, seconds: float) -> _Known:
        token = self._environment.get(TOKEN, "")
        if not token.isascii() or (token and not token.isprintable()):
            raise CredentialRetrievalError(provider="container-role", error_msg=f"{TOKEN} is not a legal header value")
        authorization = f"authorization: {token}\r\n" if token else ""
        head = f"GET {self._path} HTTP/1.1\r\nhost: {self._host_header}\r\naccept: application/json\r\n"
        reply = self._host.exchange(f"{head}{authorization}\r\n".encode("ascii"), seconds)
        if reply.status != 200:
            raise HTTPClientError(error=f"the credentials endpoint answered {reply.status}")
        try:
            found = json.loads(reply.body)
            credentials = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
            expires_at = datetime.fromisoformat(found["Expiration"]).timestamp()
        except (ValueError, TypeError, KeyError) as error:
            # Without the answer, or the error's text, which may hold a key.
            raise HTTPClientError(error=f"the credentials endpoint's answer: {type(error).__name__}") from None
        return _Known(credentials, expires_at, expires_at - REFRESH_SECONDS)


def _is_plain(name: str, port: str, path: str) -> bool:
    """Whether these can be put into a request as they are."""
    host_is_plain = name.replace("-", "").replace(".", "").isalnum() and (not port or port.isdecimal())
    return host_is_plain and path.isascii() and (not path or (path.isprintable() and " " not in path))
