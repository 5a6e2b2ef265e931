"""Files that an input links to: downloaded over HTTPS from public addresses, to a bound.

The API's callers choose inputs, and a GPU's machine reaches what they don't: so a link is held to the same addresses as
a webhook. Links of an asynchronous request are presigned by the dispatcher.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from inference.errors import InvalidInput
from inference.webhooks.addresses import RefusedAddressError, Resolve, addresses_of, connect, is_allowed, is_loopback

MAX_BYTES = 256 * 2**20
"""As a worker takes for a file in memory (`worker.payloads`)."""

READ_SECONDS = 5.0
"""For each wait for a part of a file."""

TOTAL_SECONDS = 300.0
_CHUNK_BYTES = 2**20


class Links:
    """Downloads links. A `worker.direct.Fetch`; safe to share by threads.

    Args:
        allow_loopback: for tests: also from this machine, and there without TLS.
        resolve: finds a host's addresses.
        tls: by default the system's certificates.
        max_bytes: of a file.
        seconds: for one file, the connection included.
    """

    def __init__(
        self,
        allow_loopback: bool = False,
        resolve: Resolve = socket.getaddrinfo,
        tls: ssl.SSLContext | None = None,
        max_bytes: int = MAX_BYTES,
        seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._tls = tls
        self._max_bytes = max_bytes
        self._seconds = seconds

    def __call__(self, link: str) -> bytes:
        """The file's content.

        Raises:
            InvalidInput: it is no link that is followed, or it could not be read. The message has no query, in which a
                presigned link has its signature.
        """
        parts = urlsplit(link)
        shown = f"the link to {(parts.hostname or link)[:100]}"
        secure = parts.scheme == "https"
        try:
            port = parts.port or (443 if secure else 80)
            if not parts.hostname or not (secure or (parts.scheme == "http" and self._allow_loopback)):
                raise InvalidInput(f"{shown} is not followed: it must begin with https://")
            places = addresses_of(parts.hostname, port, self._allow_loopback, self._resolve)
            if not secure and not all(is_loopback(place) for _, place in places):
                raise InvalidInput(f"{shown} is not followed: it must begin with https://")
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            return self._read(parts.hostname, parts.netloc.rpartition("@")[2], target, places, secure, shown)
        except RefusedAddressError as error:
            raise InvalidInput(f"{shown} is not followed: {error}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise InvalidInput(f"{shown} could not be read: {type(error).__name__}") from error

    def _read(
        self,
        host: str,
        host_header: str,
        target: str,
        places: Sequence[tuple[int, tuple[object, ...]]],
        secure: bool,
        shown: str,
    ) -> bytes:
        end = time.monotonic() + self._seconds
        plain = connect(places, end)
        if plain is None:
            raise ConnectionError("no address of the host accepts a connection")
        with plain:
            plain.settimeout(READ_SECONDS)
            if not is_allowed(str(plain.getpeername()[0]), self._allow_loopback):
                raise RefusedAddressError(f"{host} has an address that is not public")
            tls = (self._tls or ssl.create_default_context()) if secure else None
            connection = http.client.HTTPConnection(host)
            connection.sock = tls.wrap_socket(plain, server_hostname=host) if tls else plain
            try:
                connection.request("GET", target, headers={"Host": host_header, "Connection": "close"})
                response = connection.getresponse()
                if response.status != 200:  # a redirect, too: it may lead to another address
                    raise InvalidInput(f"{shown} could not be read: its host answered {response.status}")
                return self._content(response, end, shown)
            finally:
                connection.close()

    def _content(self, response: http.client.HTTPResponse, end: float, shown: str) -> bytes:
        content = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > self._max_bytes:
                raise InvalidInput(f"{shown} has more than {self._max_bytes:,} bytes")
            if time.monotonic() >= end:
                raise TimeoutError
        if response.length:  # bytes that were announced and have not come
            raise http.client.IncompleteRead(bytes(content[:0]), response.length)
        return bytes(content)
