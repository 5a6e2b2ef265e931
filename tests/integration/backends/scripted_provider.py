"""A provider on this machine that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A call that came; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class ScriptedProvider:
    """Gives `answers` in their order, then the last one again: each is a status, a body (JSON, or bytes as they are),
    and headers."""

    answers: list[tuple[int, Any, Mapping[str, str]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def says(self, body: Any = None, status: int = 200, **headers: str) -> None:
        """Add an answer; `_` in names of headers stands for `-`."""
        self.answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    def next(self, asked: Asked) -> tuple[int, Any, Mapping[str, str]]:
        self.asked.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def scripted_provider() -> Iterator[ScriptedProvider]:
    provider = ScriptedProvider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, json.loads(content) if content else None)
            status, body, more = provider.next(asked)
            data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(data))} | dict(more)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a client that hung up

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
