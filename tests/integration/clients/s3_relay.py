"""moto's S3 behind HTTP: clients that are not boto3 reach it on loopback. It does not check signatures."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import requests

_HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class S3Relay:
    """Passes requests on to moto, which answers what `requests` sends while `mock_aws` is active.

    Attributes:
        failures: statuses that are answered instead, in their order.
        losses: how many of the next requests are passed on, and get no answer.
        seen: method and path of each request.
        headers: of each request; names in lower case.
    """

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.losses = 0
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


def _handler(relay: S3Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            relay.seen.append(f"{self.command} {self.path.partition('?')[0]}")
            relay.headers.append({name.lower(): value for name, value in self.headers.items()})
            if relay.failures:
                self._answer(relay.failures.pop(0), {}, b"<Error><Code>SlowDown</Code></Error>")
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            url = f"https://s3.us-east-1.amazonaws.com{self.path}"
            found = requests.request(self.command, url, headers=headers, data=body, timeout=10)
            if relay.losses:
                relay.losses -= 1
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            kept = {name: value for name, value in found.headers.items() if name.lower() not in _HOP_BY_HOP}
            self._answer(found.status_code, kept, found.content)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

        do_GET: Callable[[Handler], None] = _pass_on
        do_PUT: Callable[[Handler], None] = _pass_on
        do_DELETE: Callable[[Handler], None] = _pass_on

    return Handler
