"""The synchronous app as it ships, in processes of its own: behind Lambda's events, and as a server."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.package_process import run_script

SECONDS = 30
LIMITS = {"LOG_LEVEL": "INFO", "MAX_BODY_BYTES": "100000", "MAX_BODY_DEPTH": "32"}
SCRIPT = """
import json, sys

class Context:
    aws_request_id = "invocation-1"
    def __init__(self, remaining): self.remaining = remaining
    def get_remaining_time_in_millis(self): return self.remaining

from worker.sync import handler
loaded = handler.single.is_loaded
for event in json.load(sys.stdin):
    print(json.dumps({"answer": handler.handler(event, Context(event.get("remaining_ms", 29000)))}))
print(json.dumps({"loaded": loaded, "imported": sorted({"torch", "boto3", "uvicorn"} & sys.modules.keys())}))
"""


def event_of(method: str, path: str, body: str | None = None, **more: Any) -> dict[str, Any]:
    """An event of an HTTP API, payload format 2.0."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "api.example.com"},
        "requestContext": {"http": http, "stage": "$default", "domainName": "api.example.com", "requestId": "r"},
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


def lambda_calls(package: Path, source: str, *events: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of a process that answers events, and its lines."""
    process = run_script(package, SCRIPT, LIMITS | {"MODELS": json.dumps({source: source})}, events)
    assert process.stdout, process.stderr
    return process.returncode, [json.loads(line) for line in process.stdout.splitlines()]


def call(port: int, method: str, path: str, value: Any = None, seconds: float = SECONDS) -> tuple[int, Any]:
    """The status and the JSON that a server on this machine answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, None if value is None else json.dumps(value))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


class Server:
    """A server in a process of its own; its log lines so far."""

    def __init__(self, package: Path, environment: Mapping[str, str]) -> None:
        inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker.sync.server"],
            env={**inherited, "PORT": "0", **environment},
            cwd=package,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self.port = 0

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next line of an event; the test's own timeout is the process's: see `served`."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(json.loads(text))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"no {event}: {self.lines}")

    def call(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        return call(self.port, method, path, value)

    def predict_in_background(self, path: Path) -> tuple[threading.Thread, list[tuple[int, Any]]]:
        """A call whose pass waits until the file is deleted; returns when the pass has begun."""
        answers: list[tuple[int, Any]] = []
        text = {"text": f"wait {path}"}
        thread = threading.Thread(target=lambda: answers.append(self.call("POST", "/models/waiting/predict", text)))
        thread.start()
        begun = threading.Event()
        for _ in range(SECONDS * 100):
            if path.exists():
                return thread, answers
            begun.wait(0.01)
        raise AssertionError("the pass did not begin")


@contextmanager
def served(package: Path, **environment: str) -> Iterator[Server]:
    """A server; it is killed at the end, and after a minute in any case."""
    server = Server(package, environment)
    killer = threading.Timer(60, server.process.kill)
    killer.start()
    try:
        server.port = int(server.wait_for("server_started")["port"])
        yield server
    finally:
        killer.cancel()
        server.process.kill()
        server.process.communicate()
