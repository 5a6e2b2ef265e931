"""Sends one webhook: HTTPS to an address that was checked, without redirects and without proxies.

The standard library's client of HTTP, on a connection that is made here: a library would resolve the name again, and
could connect to another address than the one that was checked.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from inference.webhooks.addresses import RefusedAddressError, Resolve, addresses_of, connect, is_allowed, is_loopback
from inference.webhooks.retries import Answer

TOTAL_SECONDS = 10.0
"""From the first connection to the end of the response's headers. Its body is not read."""

USER_AGENT = "async-inference-webhooks/1"


class Sender:
    """Sends webhooks. Safe to share by threads.

    Args:
        allow_loopback: for tests: also to this machine, and there without TLS.
        resolve: finds a host's addresses.
        tls: by default the system's certificates, and TLS 1.2 or later.
        seconds: for one attempt, the connection included.
    """

    def __init__(
        self,
        allow_loopback: bool = False,
        resolve: Resolve = socket.getaddrinfo,
        tls: ssl.SSLContext | None = None,
        seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()
        self._seconds = seconds

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One attempt; whatever goes wrong is its answer. The texts of errors are for the client: they do not say which
        addresses a host has."""
        start = time.monotonic()
        answer = self._post(urlsplit(url), headers, body)
        return answer._replace(duration_ms=round((time.monotonic() - start) * 1000))

    def _post(self, url: SplitResult, headers: Mapping[str, str], body: bytes) -> Answer:
        host = url.hostname or ""
        try:
            port = url.port or (443 if url.scheme == "https" else 80)
            places = addresses_of(host, port, self._allow_loopback, self._resolve)
        except RefusedAddressError as error:
            return Answer(error=str(error), refused=True)
        except (OSError, ValueError):  # of a name that is no name: UnicodeError
            return Answer(error="the host's name could not be resolved")
        if url.scheme != "https" and not all(is_loopback(place) for _, place in places):
            return Answer(error="only this machine is called without TLS", refused=True)
        end = time.monotonic() + self._seconds
        connection = connect(places, end)
        if connection is None:
            return Answer(error="no connection could be made")
        # A receiver that sends a byte now and then would pass each single wait.
        guard = connection.dup()
        timer = threading.Timer(max(end - time.monotonic(), 0), _shut_down, [guard])
        timer.daemon = True
        timer.start()
        try:
            peer = connection.getpeername()[0]
            if not is_allowed(str(peer), self._allow_loopback):
                return Answer(error=f"{host} has an address that is not public", refused=True)
            connection.settimeout(max(end - time.monotonic(), 0.1))
            if url.scheme == "https":
                connection = self._tls.wrap_socket(connection, server_hostname=host)
            answer = _exchange(connection, url, headers, body)
            # http.client takes headers that end with the connection, as the guard ends it, for complete.
            return answer if time.monotonic() < end else self._too_late()
        except ssl.SSLCertVerificationError as error:
            return Answer(error=f"the receiver's certificate is not valid: {error.verify_message}")
        except TimeoutError:
            return self._too_late()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= end:
                return self._too_late()
            return Answer(error=f"the connection failed or the answer was not HTTP: {type(error).__name__}")
        finally:
            timer.cancel()
            timer.join()
            guard.close()
            connection.close()

    def _too_late(self) -> Answer:
        return Answer(error=f"no answer within {self._seconds:g} seconds")


def _exchange(connection: socket.socket, url: SplitResult, headers: Mapping[str, str], body: bytes) -> Answer:
    client = http.client.HTTPConnection(url.hostname or "")
    client.sock = connection
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    fixed = {"Host": url.netloc, "Content-Type": "application/json", "User-Agent": USER_AGENT, "Connection": "close"}
    client.request("POST", target, body, {**fixed, **headers})
    response = client.getresponse()
    try:
        return Answer(status=response.status, retry_after=response.headers.get("Retry-After"))
    finally:
        response.close()


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
