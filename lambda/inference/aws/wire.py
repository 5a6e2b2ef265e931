"""HTTP/1.1 to one host over persistent connections: sends a request's bytes, reads the reply.

It is small because it supports only requests of known length, and no HEAD, to an HTTP/1.1 server. Failures are raised
as botocore's exceptions, so that callers handle boto3 and this client in the same way.

With urllib3 instead, the api function's first response comes about a third later (316 ms instead of 233 ms, medians of
21 starts each), and a submit takes twice the CPU time: `make bench ONLY=api` measures both.
"""

from __future__ import annotations

import select
import socket
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)

if TYPE_CHECKING:
    import ssl

MAX_IDLE_SECONDS = 60
"""A connection that was idle for longer is not used again. While Lambda freezes a process, its connections can be
closed unnoticed: a request on such a connection takes the whole read timeout, a new connection some milliseconds."""

MAX_LINE_BYTES = 65_536
MAX_HEADERS = 100

NO_CONTENT = (204, 304)
"""Such a reply ends with its head, whatever that says of a body."""


class StaleConnectionError(ConnectionClosedError):  # type: ignore[misc]
    """A kept connection was closed: no byte of a reply came. A new connection will probably work."""


class Reply(NamedTuple):
    """An HTTP response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.file: BinaryIO = sock.makefile("rb")
        self.last_used = 0.0

    def usable(self) -> bool:
        """Not idle for too long, and nothing to read: unexpected data means that the server has closed the
        connection."""
        if not 0 <= time.time() - self.last_used < MAX_IDLE_SECONDS:  # unlike monotonic, counts while frozen
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self.file.close()
        self.socket.close()


class Host:
    """A host, and the connections to it that are kept. Safe to use from several threads: each takes its own connection.

    Args:
        scheme: `http` or `https`.
        name, port: where it is.
        connect_timeout, read_timeout: seconds; the read timeout is for each wait for data, as in boto3.
        ca_bundle: file of the certificates to trust; by default botocore's (see `trust`).
    """

    def __init__(
        self,
        scheme: str,
        name: str,
        port: int,
        connect_timeout: float,
        read_timeout: float,
        ca_bundle: str | None,
    ) -> None:
        # As bytes: for text, Python imports what encodes names that are not ASCII.
        self._address = (name.encode() if name.isascii() else name, port)
        self._url = f"{scheme}://{name}:{port}/"
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._ca_bundle = ca_bundle
        self._tls = None
        if scheme == "https":
            # Made with the client: Lambda gives a process more CPU while it starts.
            from inference.aws.trust import first_context

            self._tls = first_context(name, ca_bundle)
        self._idle: list[_Connection] = []
        weakref.finalize(self, _close_all, self._idle).atexit = False

    def exchange(self, request: bytes, seconds: float) -> Reply:
        """Send a request and read its reply. No wait ends later than `seconds` from now.

        Raises:
            EndpointConnectionError, ConnectTimeoutError, SSLError: there is no connection; nothing was sent.
            ConnectionClosedError, ReadTimeoutError, HTTPClientError: the request may have been carried out or not.
        """
        end = time.monotonic() + seconds
        connection = self._kept()
        kept = connection is not None
        if connection is None:
            connection = self._connect(end)
        answered = False
        try:
            connection.socket.settimeout(_bounded(self._read_timeout, end))
            connection.socket.sendall(request)
            first = connection.file.readline(MAX_LINE_BYTES)
            answered = first != b""
            reply, keep = _read_reply(first, connection.file)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (EOFError, OSError) as error:
            connection.close()
            if kept and not answered:
                _close_all(self._idle)  # they are as old
                raise StaleConnectionError(endpoint_url=self._url, error=error) from error
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        except ValueError as error:
            connection.close()
            raise HTTPClientError(error=error) from error
        except BaseException:
            connection.close()
            raise
        if keep:
            connection.last_used = time.time()
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _kept(self) -> _Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if connection.usable():
                return connection
            connection.close()
        return None

    def _connect(self, end: float) -> _Connection:
        tls = self._tls
        try:
            sock = self._open(end)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if tls is not None:
                    sock.settimeout(_bounded(self._connect_timeout, end))
                    sock = tls.wrap_socket(sock, server_hostname=self._address[0])
                return _Connection(sock)
            except BaseException:
                sock.close()
                raise
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            if tls is None or not _is_tls_error(error):
                raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
            more = self._trust_after(error)
            if more in (None, tls):
                raise SSLError(endpoint_url=self._url, error=error) from error
            self._tls = more
            return self._connect(end)

    def _trust_after(self, error: OSError) -> ssl.SSLContext | None:
        """The whole bundle's context, if the server's certificate was not verified; None for other errors of TLS."""
        import ssl

        from inference.aws.trust import whole_context

        return whole_context(self._ca_bundle) if isinstance(error, ssl.SSLCertVerificationError) else None

    def _open(self, end: float) -> socket.socket:
        """A connection to the first of the host's addresses that accepts one, within the timeout and the time left."""
        failure: OSError = TimeoutError("no address was found")
        for family, kind, protocol, _, address in socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_bounded(self._connect_timeout, end))
                sock.connect(address)
                return sock
            except OSError as error:
                sock.close()
                failure = error
        raise failure


def _bounded(timeout: float, end: float) -> float:
    """The timeout, cut to end at `end`. Never 0: that would mean not to wait at all."""
    return max(min(timeout, end - time.monotonic()), 0.001)


def _close_all(connections: list[_Connection]) -> None:
    while connections:
        with suppress(IndexError):  # another thread was faster
            connections.pop().close()


def _read_reply(first: bytes, file: BinaryIO) -> tuple[Reply, bool]:
    """Read a reply whose first line is given. Returns it, and whether the connection can be kept.

    Raises:
        EOFError: it ended too early.
        ValueError: it is not HTTP/1.1.
    """
    status, headers = _read_head(first, file)
    while 100 <= status < 200:
        status, headers = _read_head(file.readline(MAX_LINE_BYTES), file)
    keep = first.startswith(b"HTTP/1.1 ") and headers.get("connection", "").lower() != "close"
    if status in NO_CONTENT:
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join(iter(lambda: _read_chunk(file), b""))
        while _read_line(file):  # trailers
            pass
    elif (length := headers.get("content-length")) is not None:
        body = _read_exactly(file, int(length))
    else:
        body, keep = file.read(), False
    return Reply(status, headers, body), keep


def _read_head(first: bytes, file: BinaryIO) -> tuple[int, dict[str, str]]:
    if not first:
        raise EOFError("the connection was closed before the reply")
    version, _, rest = first.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise ValueError(f"not an HTTP/1.1 reply: {first[:80]!r}")
    headers: dict[str, str] = {}
    for _count in range(MAX_HEADERS):
        line = _read_line(file)
        if not line:
            return int(rest[:3]), headers
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    raise ValueError(f"more than {MAX_HEADERS} headers")


def _read_line(file: BinaryIO) -> str:
    line = file.readline(MAX_LINE_BYTES)
    if not line.endswith(b"\n"):
        raise EOFError("the connection was closed within the reply's head")
    return line.rstrip(b"\r\n").decode("latin-1")


def _read_chunk(file: BinaryIO) -> bytes:
    size = int(_read_line(file).partition(";")[0], 16)
    if not size:
        return b""
    chunk = _read_exactly(file, size)
    _read_line(file)
    return chunk


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError(f"the connection was closed after {len(data)} of {size} bytes")
    return data


def _is_tls_error(error: OSError) -> bool:
    import ssl

    return isinstance(error, ssl.SSLError)
