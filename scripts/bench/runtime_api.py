"""Lambda's Runtime API for one function process, so that the real runtime client (awslambdaric) runs the handler.

    with RuntimeApi() as api:
        process = subprocess.Popen([..., "-m", "awslambdaric", "worker.handler.handler"], env={**api.environment, ...})
        api.wait_until_ready(10)
        reply = api.invoke({"Records": [...]}, 30)

Standard library only; tests use it too. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

VERSION = "/2018-06-01/runtime"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:bench:live"


class FunctionError(Exception):
    """The function's process reported an error, or did not answer in time."""


@dataclass(frozen=True)
class Reply:
    """What the handler returned; `at` is when it arrived, on the clock of `time.perf_counter`."""

    payload: Any
    at: float


@dataclass
class _Invocation:
    event: bytes
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class RuntimeApi:
    """Serves one function process, one invocation at a time, on a free port.

    Args:
        timeout_seconds: the deadline that each invocation is told.
        memory_mb: what the function is told to have.
    """

    def __init__(self, *, timeout_seconds: float = 30, memory_mb: int = 1769) -> None:
        self.timeout_seconds = timeout_seconds
        self.memory_mb = memory_mb
        self.ready_at: float | None = None
        self._events: queue.Queue[_Invocation | None] = queue.Queue()
        self._replies: queue.Queue[Reply | FunctionError] = queue.Queue()
        self._ready = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """host:port, the value of AWS_LAMBDA_RUNTIME_API."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that Lambda itself sets, as far as a runtime client or a handler reads them."""
        return {
            "AWS_LAMBDA_RUNTIME_API": self.address,
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        }

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until INIT is over: the process asks for its first event (the time is `ready_at`).

        Raises:
            FunctionError: INIT failed, or took longer.
        """
        if not self._ready.wait(seconds):
            raise FunctionError(f"no call for an event within {seconds:g} s")
        if self.ready_at is None:
            self._take(0)

    def invoke(self, event: Any, seconds: float) -> Reply:
        """Hand over one event and wait for the answer; call it before the process is up to wait for both.

        Raises:
            FunctionError: the handler (or INIT) raised, or there is no answer in time.
        """
        self._events.put(_Invocation(json.dumps(event).encode()))
        return self._take(seconds)

    def _take(self, seconds: float) -> Reply:
        try:
            reply = self._replies.get(timeout=seconds or None)
        except queue.Empty:
            raise FunctionError(f"no answer within {seconds:g} s") from None
        if isinstance(reply, FunctionError):
            raise reply
        return reply

    # Called by the connections' threads.

    def next_event(self) -> _Invocation | None:
        """The next event, when there is one; None when the API closes."""
        if self.ready_at is None:
            self.ready_at = time.perf_counter()
            self._ready.set()
        return self._events.get()

    def answered(self, path: str, body: bytes) -> None:
        """A POST arrived: a response or an error."""
        at = time.perf_counter()
        if path.endswith("/response"):
            self._replies.put(Reply(json.loads(body or b"null"), at))
            return
        try:
            error = json.loads(body)
            text = f"{error.get('errorType')}: {error.get('errorMessage')}"
        except ValueError:
            text = body.decode(errors="replace")
        self._replies.put(FunctionError(text))
        self._ready.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed process resets its connection; that is no news."""


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits for the other side's delayed acknowledgement
        wbufsize = -1

        def do_GET(self) -> None:
            if self.path != f"{VERSION}/invocation/next":
                self._respond(404, {}, b"{}")
                return
            invocation = api.next_event()
            if invocation is None:
                self.close_connection = True
                return
            deadline = int((time.time() + api.timeout_seconds) * 1000)
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": FUNCTION_ARN,
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
            }
            self._respond(200, headers, invocation.event)

        def do_POST(self) -> None:
            body = self._body()
            self._respond(202, {}, b'{"status":"OK"}')
            api.answered(self.path, body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
