"""A proxy between a deployed function and the emulator, which injects failures of AWS."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

HANG_SECONDS = 3.5
"""Longer than the functions' read timeout."""

_ANSWERS = {
    "throttle": (400, "ThrottlingException"),
    "error": (500, "InternalServerError"),
    "unavailable": (503, "ServiceUnavailable"),
}


@dataclass
class EdgeFault:
    """Makes calls of one operation fail.

    Args:
        operation: as in the header X-Amz-Target, such as `UpdateItem`.
        kind: throttle, error, unavailable: AWS rejects; lost: it does what was asked and the connection breaks before
            the answer; hang: the answer does not come before the client's timeout.
        skip: calls that pass first.
        times: calls that fail then.
    """

    operation: str
    kind: str
    skip: int = 0
    times: int = 1
    met: int = field(default=0, init=False)


class Edge:
    """The proxy, on a port of its own on loopback. It passes on what it gets unless a fault applies.

    Args:
        target: the emulator's address.
        port_file: where the port is kept, so that a kept deployment finds it again.

    It takes `Error.Item` out of every rejection in a BatchExecuteStatement's answer: AWS may not send it either.
    `stripped` counts them.
    """

    def __init__(self, target: str, port_file: Path) -> None:
        self.stripped = 0
        self._target = urlsplit(target).netloc
        self._lock = threading.Lock()
        self._faults: list[EdgeFault] = []
        port = int(port_file.read_text()) if port_file.exists() else 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler_class())
        self._server.daemon_threads = True
        port_file.write_text(str(self._server.server_port))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextlib.contextmanager
    def failing(self, *faults: EdgeFault) -> Any:
        """Inject the faults while the block runs."""
        with self._lock:
            self._faults = list(faults)
        try:
            yield
        finally:
            with self._lock:
                self._faults = []

    def _next(self, operation: str) -> str | None:
        """What happens to this call."""
        with self._lock:
            for fault in self._faults:
                if fault.operation != operation:
                    continue
                if fault.skip:
                    fault.skip -= 1
                elif fault.met < fault.times:
                    fault.met += 1
                    return fault.kind
        return None

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        edge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                kind = edge._next(operation)
                if kind in _ANSWERS:
                    status, code = _ANSWERS[kind]
                    self._answer(status, {}, json.dumps({"__type": code, "message": "injected"}).encode())
                    return
                answer = edge._pass_on(self.path, body, dict(self.headers.items()))
                if operation == "BatchExecuteStatement" and answer[0] == 200:
                    answer = edge._strip(*answer)
                if kind == "hang":
                    time.sleep(HANG_SECONDS)
                if kind in ("lost", "hang"):
                    self.close_connection = True
                    return
                self._answer(*answer)

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                with contextlib.suppress(ConnectionError):  # a client that timed out, or was killed
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler

    def _strip(self, status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        answer = json.loads(body)
        for response in answer["Responses"]:
            if response.get("Error", {}).pop("Item", None) is not None:
                with self._lock:
                    self.stripped += 1
        changed = {name: value for name, value in headers.items() if name.lower() != "x-amz-crc32"}
        return status, changed, json.dumps(answer).encode()

    def _pass_on(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._target, timeout=30)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()
