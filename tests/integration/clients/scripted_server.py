"""AWS as a test wants it: an HTTP server on loopback that gives scripted answers and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

Answer = Callable[[socket.socket, "Received"], bool]
"""Answers a request on its connection; returns whether the connection stays open."""


@dataclass(frozen=True)
class Received:
    """A request, and the number of the connection that it came on (from 1). Header names are in lower case."""

    connection: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        return self.headers["x-amz-target"].partition(".")[2]


def says(body: Any, status: int = 200, **headers: str) -> Answer:
    """An ordinary JSON answer; `_` in header names stands for `-`."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content-length": str(len(data)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return sends(_head(status, fields) + data)


def rejects(code: str, status: int = 400, **fields: Any) -> Answer:
    """An error as DynamoDB and SQS send it."""
    return says({"__type": f"com.amazonaws.test#{code}", "message": f"{code}, says the test", **fields}, status)


def sends(data: bytes, keep: bool = True) -> Answer:
    """Just these bytes."""

    def answer(connection: socket.socket, received: Received) -> bool:
        connection.sendall(data)
        return keep

    return answer


def chunked(*chunks: bytes) -> Answer:
    """An answer in chunks, with a trailer."""
    body = b"".join(b"%x;name=value\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return sends(_head(200, {"transfer-encoding": "chunked"}) + body + b"0\r\ntrailer: x\r\n\r\n")


def then_closes(answer: Answer) -> Answer:
    """The answer, and a connection that is closed without a word about it."""
    return lambda connection, received: answer(connection, received) and False


def closes(connection: socket.socket, received: Received) -> bool:
    """No answer at all."""
    return False


def cut(connection: socket.socket, received: Received) -> bool:
    """The connection breaks within the answer."""
    connection.sendall(_head(200, {"content-length": "100"}) + b'{"half":')
    return False


def waits(seconds: float) -> Answer:
    """The answer comes too late."""

    def answer(connection: socket.socket, received: Received) -> bool:
        time.sleep(seconds)
        return False

    return answer


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode()


@dataclass
class ScriptedServer:
    """Sends `script`'s answers in their order, then always `otherwise`.

    Attributes:
        received: the requests so far.
        tls: makes it speak TLS.
        closed: is set whenever the server has closed a connection.
    """

    script: list[Answer] = field(default_factory=list)
    otherwise: Answer = field(default_factory=lambda: says({}))
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            _close(connection)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return len(self._open)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection, len(self._open)), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as file:
                while file.readline():
                    headers = {}
                    while line := file.readline().strip():
                        name, _, value = line.decode("latin-1").partition(":")
                        headers[name.lower()] = value.strip()
                    received = Received(number, headers, file.read(int(headers.get("content-length", 0))))
                    with self._lock:
                        self.received.append(received)
                        answer = self.script.pop(0) if self.script else self.otherwise
                    if not answer(connection, received):
                        break
                _close(connection)
        self.closed.set()


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
