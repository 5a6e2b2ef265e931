"""Calls of a provider's HTTP API: within the invocation's time, of bounded size, and each failure as what it means.

    no connection, 425, 429, 503         Refused         certainly not done
    401, 403, a redirect                 Misconfigured   and 404, where a call can't mean that a run is gone
    other 4xx                            Rejected
    no answer, 408, 5xx, not JSON        Uncertain       it may be done

Only the standard library: this ships in the dispatcher's zip, and starts with it.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from inference.errors import ConfigurationError
from worker.backends.base import Misconfigured, Refused, Rejected, Uncertain

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 20.0
MIN_SECONDS = 1.0
"""A call that has less time than this is not begun."""

MAX_BYTES = 32 * 2**20
"""Of an answer. Beyond it, the worker's memory would be at the mercy of a provider's output."""

MAX_ERROR_CHARACTERS = 300
USER_AGENT = "async-inference-dispatcher/1"

_REFUSALS = frozenset({425, 429, 503})
_NO_RIGHTS = frozenset({401, 403})
NOT_FOUND = frozenset({404})


class AnswerTooLarge(Rejected):
    """An answer has more than MAX_BYTES: it was not read to its end."""


@dataclass(frozen=True)
class Answer:
    """A decoded answer, of a status below 400 or one that the caller has `expected`."""

    status: int
    body: Any


class Http:
    """One base URL of a provider.

    Args:
        provider: its name, for messages.
        url: https, or http on this machine, for tests. A path in it precedes that of each call.
        token: sent as `Authorization: Bearer`; None sends none.
        remaining: seconds that the invocation has left for calls.
        seconds: for one call, the connection included.
        tls: by default the system's certificates.

    Raises:
        ConfigurationError: the URL is not one that a token may be sent to, or the token can't be sent.
    """

    def __init__(
        self,
        provider: str,
        url: str,
        token: str | None = None,
        remaining: Callable[[], float] = lambda: math.inf,
        seconds: float = TOTAL_SECONDS,
        tls: ssl.SSLContext | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._provider = provider
        self._token = token
        self._remaining = remaining
        self._seconds = seconds
        self._tls = tls
        self._max_bytes = max_bytes
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls_used = parts.scheme == "https"
        try:
            self._port = parts.port or (443 if self._tls_used else 80)
        except ValueError as error:
            raise ConfigurationError(f"url {url!r} has no valid port") from error
        if not self._host or (not self._tls_used and not (parts.scheme == "http" and is_this_machine(self._host))):
            raise ConfigurationError(f"url {url!r} must begin with https://: the provider's token is sent to it")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ConfigurationError("the token has characters that can't be sent in a header, such as line breaks")
        self._path = parts.path.rstrip("/")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        expected: frozenset[int] = frozenset(),
    ) -> Answer:
        """Call, and decode the JSON of the answer.

        Args:
            path: after the base URL's; see `segment`.
            body: is sent as JSON; None sends none.
            expected: statuses from 400 that the caller understands.

        Raises:
            Refused, Uncertain, Rejected, Misconfigured: see this module. `AnswerTooLarge` is a Rejected.
        """
        seconds = min(self._seconds, self._remaining())
        if seconds < MIN_SECONDS:
            raise Refused(f"{self._provider} was not called: the invocation has no time left")
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        end = time.monotonic() + seconds
        connection = self._connect(end)
        # A provider that sends a byte now and then would pass each single wait.
        guard = socket.fromfd(connection.sock.fileno(), connection.sock.family, connection.sock.type)
        timer = threading.Timer(max(end - time.monotonic(), 0), _shut_down, [guard])
        timer.daemon = True
        timer.start()
        try:
            connection.request(method, f"{self._path}{path}" or "/", data, self._headers(data, headers or {}))
            response = connection.getresponse()
            content = response.read(self._max_bytes + 1)
            if time.monotonic() >= end:
                raise TimeoutError  # what the guard has cut looks complete where it had no length
        except TimeoutError as error:
            raise Uncertain(f"{self._provider} did not answer within {seconds:.0f} seconds") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            cut = time.monotonic() >= end
            reason = f"did not answer within {seconds:.0f} seconds" if cut else f"broke off: {type(error).__name__}"
            raise Uncertain(f"{self._provider} {reason}") from error
        finally:
            timer.cancel()
            timer.join()
            guard.close()
            connection.close()
        if response.status in expected or response.status < 300:
            return Answer(response.status, self._decoded(content))
        raise self._error(response.status, response.getheader("Retry-After"), content)

    def _connect(self, end: float) -> http.client.HTTPConnection:
        timeout = min(CONNECT_SECONDS, max(end - time.monotonic(), 0.1))
        connection: http.client.HTTPConnection
        if self._tls_used:
            tls = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=tls)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise Misconfigured(
                f"{self._host}'s certificate is not valid: {error.verify_message}; fix `url`"
            ) from error
        except OSError as error:
            connection.close()
            raise Refused(f"{self._provider} can't be reached: {type(error).__name__}") from error
        connection.sock.settimeout(max(end - time.monotonic(), 0.1))
        return connection

    def _headers(self, data: bytes | None, more: Mapping[str, str]) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT, "Connection": "close", **more}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _decoded(self, content: bytes) -> Any:
        if len(content) > self._max_bytes:
            raise AnswerTooLarge(f"{self._provider}'s answer has more than {self._max_bytes:,} bytes")
        if not content:
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Uncertain(f"{self._provider}'s answer is not JSON") from error

    def _error(self, status: int, retry_after: str | None, content: bytes) -> Exception:
        said = f"{self._provider} answered {status}"
        text = content[:MAX_ERROR_CHARACTERS].decode("utf-8", "replace").strip()
        with_text = f"{said}: {text}" if text else said
        if status in _REFUSALS:
            return Refused(with_text, int(retry_after) if retry_after and retry_after.isdecimal() else None)
        if status in _NO_RIGHTS:
            return Misconfigured(f"{said}: the token in the backend's secret is wrong, or has no right to the endpoint")
        if status == 404:
            return Misconfigured(f"{said}: check the backend's `endpoint` and `url`. {text}".rstrip())
        if status < 400:
            return Misconfigured(f"{said}, a redirect: set the backend's `url` to where it leads")
        if status < 500 and status != 408:
            return Rejected(with_text)
        return Uncertain(with_text)


def segment(text: str) -> str:
    """A part of a path, of any text."""
    return quote(text, safe="")


def is_this_machine(host: str) -> bool:
    """Whether a host is a loopback address, or `localhost`: only there HTTP without TLS is used."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
