"""The api function behind a real HTTP server on this machine, with the faults of a network."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from tests.events import golden, http_events
from tests.integration.system import System


class HttpServer:
    """Answers as API Gateway does.

    Attributes:
        faults: for each next call: `lose` (processed, but the connection ends without a response), `hang` (the response
            comes when the server ends) or `answer`.
        seen: method and path of each call, with its headers.
        work: whether a worker runs before each status is answered.
    """

    def __init__(self, system: System) -> None:
        self.faults: deque[str] = deque()
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.work = True
        self._system = system
        self._one_at_a_time = threading.Lock()
        self.ended = threading.Event()

    def call(self, method: str, path: str, headers: dict[str, str], body: str) -> dict[str, Any]:
        with self._one_at_a_time:  # a function's instance has one invocation at a time
            self.seen.append((method, path, headers))
            first, _, last = path.removeprefix("/").partition("/")
            name = {"predict": "model"}.get(first, "request_id")
            route = f"{method} /{first}" + (f"/{{{name}}}" if last else "")
            if self.work and first == "status":
                self._system.run_worker()
            event = golden(http_events()[route])
            event |= {"headers": headers, "body": body, "pathParameters": {name: unquote(last)} if last else {}}
            return self._system.call(event)


@contextmanager
def serving(system: System) -> Iterator[tuple[HttpServer, str]]:
    """A server and its base URL."""
    api = HttpServer(system)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = api.call(self.command, self.path, headers, body)
            fault = api.faults.popleft() if api.faults else "answer"
            if fault == "hang":
                api.ended.wait()
            if fault != "answer":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            data = response["body"].encode()
            self.send_response(response["statusCode"])
            for name, value in response["headers"].items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield api, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            api.ended.set()
            server.shutdown()
            thread.join()
