"""A JSON API on this machine, for stand-ins of providers."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """A call that came; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """Its decoded JSON; None without a body."""
        return json.loads(self.content) if self.content else None

    @property
    def parts(self) -> list[str]:
        """The path without its query, in parts."""
        return self.path.partition("?")[0].strip("/").split("/")


@dataclass(frozen=True)
class Answer:
    """What is answered: `body` is JSON, or bytes as they are; None has no body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] | None = None


NO_ANSWER = Answer(0)
"""The connection ends without one."""


class JsonServer:
    """A server; a subclass says what it answers.

    Attributes:
        asked: the calls that came.
        url: where it listens, while it runs.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""

    def answer(self, asked: Asked) -> Answer:
        """The answer to a call. Called by several threads at a time."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[Self]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, content)
                outer.asked.append(asked)
                given = outer.answer(asked)
                if given is NO_ANSWER:
                    self.close_connection = True
                    return
                body = given.body
                data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
                self.send_response(given.status)
                fixed = {"Content-Type": "application/json", "Content-Length": str(len(data))}
                for name, value in (fixed | dict(given.headers or {})).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = respond

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # a client that hung up

        server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def post(url: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> int | None:
    """Call without proxies; returns the status, None without an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers}, method=method)
    with suppress(OSError):
        try:
            with opener.open(asked, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return int(error.code)
    return None
