"""A Lambda Runtime API and a stand-in for AWS, small enough for one test: real HTTP, canned answers."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from time import monotonic, time
from typing import Any

INVOCATION = "/2018-06-01/runtime/invocation"
FUNCTION_SECONDS = 30


@dataclass
class Servers:
    """Both servers, on one port: put an event into `events`, take what the function made of it from `answers`."""

    events: Queue[dict[str, Any] | None] = field(default_factory=Queue)
    answers: Queue[Any] = field(default_factory=Queue)
    aws_calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    address: str = ""

    def answer(self, process: "subprocess.Popen[bytes]", seconds: float) -> Any:
        """The next answer. Raises Empty when the time is up, or when the process died."""
        deadline = monotonic() + seconds
        while True:
            try:
                return self.answers.get(timeout=0.2)
            except Empty:
                if process.poll() is not None or monotonic() > deadline:
                    raise

    def environment(self) -> dict[str, str]:
        """What Lambda would set, and where AWS is."""
        return {
            "AWS_LAMBDA_RUNTIME_API": self.address,
            "AWS_ENDPOINT_URL": f"http://{self.address}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_LAMBDA_FUNCTION_NAME": "worker",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "LAMBDA_TASK_ROOT": "/var/task",
        }


@contextmanager
def serving() -> Iterator[Servers]:
    """Both servers, until the block is left."""
    servers = Servers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what went wrong."""

        def do_GET(self) -> None:
            assert self.path == f"{INVOCATION}/next"
            event = servers.events.get()  # as Lambda does: the answer waits for the next event
            if event is None:
                self.close_connection = True
                return
            deadline = int((time() + FUNCTION_SECONDS) * 1000)
            headers = {
                "Content-Type": "application/json",  # the client's C part falls over where one of these is missing
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
                "Lambda-Runtime-Aws-Request-Id": "invocation-1",
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:worker",
            }
            self.answer(200, event, headers)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
            if self.path.startswith("/2018-06-01/runtime/"):
                servers.answers.put(body if self.path.endswith("/response") else {"error": body})
                self.answer(202, {"status": "OK"})
                return
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            servers.aws_calls.append((operation, body))
            self.answer(200, aws_answer(operation, body), {"Content-Type": "application/x-amz-json-1.0"})

        def answer(self, code: int, content: Any, headers: dict[str, str] | None = None) -> None:
            data = json.dumps(content).encode()
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """The function is killed while it waits for its next event: that is no error here."""

    server = Server(("127.0.0.1", 0), Handler)
    servers.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield servers
    finally:
        servers.events.put(None)
        server.shutdown()
        thread.join()
        server.server_close()


def aws_answer(operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """Everything applies. Raises KeyError for a call that a worker with several new requests does not make."""
    if operation == "BatchExecuteStatement":
        return {"Responses": [{} for _ in body["Statements"]]}
    return {"ChangeMessageVisibilityBatch": {"Successful": [{"Id": e["Id"]} for e in body["Entries"]], "Failed": []}}[
        operation
    ]
