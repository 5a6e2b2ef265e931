"""A model whose load takes longer than Lambda gives it: the process is killed in it, and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.local.emulator import Emulator
from scripts.stack_defaults import worker_environment
from tests.integration.system import TABLE, System

SECONDS = 20
HANDLE = """
import json, sys
from worker import handler
class Context:
    aws_request_id = "invocation-1"
    def get_remaining_time_in_millis(self): return 2500
handler.handler(json.load(sys.stdin), Context())
"""


@contextmanager
def process(package: Path, script: str, environment: Mapping[str, str], event: Any = None) -> Iterator[None]:
    """A process of the worker; killed in the end, as Lambda does it."""
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    running = subprocess.Popen(
        [sys.executable, "-c", script], env=inherited | dict(environment), cwd=package, stdin=subprocess.PIPE
    )
    try:
        assert running.stdin is not None
        running.stdin.write(json.dumps(event).encode())
        running.stdin.close()
        yield
    finally:
        running.kill()
        running.wait()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {SECONDS} s"
        time.sleep(0.05)


def test_its_requests_are_told_by_the_second_start_within_one_timeout(
    slow_package: Path, emulated_system: System, emulator: Emulator, tmp_path: Path
) -> None:
    system = emulated_system
    worker = {"REQUEST_TABLE": TABLE, "MODELS": '{"wordcount": "wordcount"}', "TMPDIR": str(tmp_path)}
    environment = emulator.env | worker_environment() | worker | {"QUEUE_URL": system.urls["wordcount"]}
    request_id = system.predict({"text": "one"}, model="wordcount")["json"]["request_id"]
    event = {"Records": system.receive("wordcount")}
    with process(slow_package, "import worker.handler", environment):
        until(lambda: any(tmp_path.glob("*-wordcount-loading")))
    with process(slow_package, HANDLE, environment, event):
        until(lambda: system.status(request_id)["json"]["error"] is not None)
    body = system.status(request_id)["json"]
    assert (body["status"], body["error"]["code"], body["attempts"]) == ("pending", "model_not_loaded", 1)
    assert "Raise timeout_seconds" in body["error"]["message"]
