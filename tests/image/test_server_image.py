"""The server's image: the worker's layers with another command, run as nobody with a read-only root."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.image import container
from tests.image.container import REPORT, Image
from tests.integration.sync_process import call

pytestmark = pytest.mark.image

START_SECONDS = 60
CALL_SECONDS = 60
TEXT = {"text": "worst delay of my life, never again"}


class Server:
    """The image's own command, on a port that was free, for this machine alone."""

    def __init__(self, image: Image, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log = log
        started = time.perf_counter()
        environment = {"HOST": "127.0.0.1", "PORT": str(self.port)}
        self.process = container.start(image.root, image.config, environment, log)
        self.wait_for("server_started")
        REPORT.append(f"{image.target}-server: listens {time.perf_counter() - started:.2f} s after its start")

    def wait_for(self, event: str) -> dict[str, Any]:
        """A log line of that event."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in self._log.read_text().splitlines():
                if line.startswith("{") and json.loads(line)["event"] == event:
                    found: dict[str, Any] = json.loads(line)
                    return found
            time.sleep(0.05)
        raise AssertionError(f"no {event} within {START_SECONDS} s: {self._log.read_text()[-3000:]}")

    def call(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        return call(self.port, method, path, value, CALL_SECONDS)


@contextmanager
def running(image: Image, log: Path) -> Iterator[Server]:
    server = None
    try:
        server = Server(image, log)
        yield server
    finally:
        if server is not None:
            server.process.kill()
            server.process.wait()


def test_it_shares_all_layers_that_do_not_depend_on_the_model(server_image: Image) -> None:
    base_and_runtime = server_image.others_layers[:2]
    assert server_image.layers[:2] == base_and_runtime
    assert "HOST=0.0.0.0" in server_image.config["Env"], "in a container only its platform can reach it"
    assert server_image.config["User"] == "65534:65534"


def test_it_answers_on_another_port_as_nobody(server_image: Image, tmp_path: Path) -> None:
    with running(server_image, tmp_path / "log") as server:
        status, body = server.call("POST", "/models/sentiment/predict", TEXT)
        assert (status, body["result"]["prediction"]) == (200, "negative")
        items = {"items": [TEXT, {"text": ""}]}
        batch = server.call("POST", "/models/sentiment/batch", items)[1]["items"]
        assert [item["status"] for item in batch] == ["succeeded", "failed"]
        health = server.call("GET", "/health")[1]["models"]
        assert {name: model["loaded"] for name, model in health.items()} == {"sentiment": True, "waiting": True}
        paths = server.call("GET", "/openapi.json")[1]["paths"]
        assert "/models/sentiment/predict" in paths
        shown = subprocess.run(
            ["ps", "-o", "uid=", "-p", str(server.process.pid)], capture_output=True, text=True, check=True
        )
        assert shown.stdout.strip() == "65534"


def test_sigterm_during_a_request_lets_it_end(server_image: Image, tmp_path: Path) -> None:
    with running(server_image, tmp_path / "log") as server, socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(CALL_SECONDS)
        text = {"text": f"wait {gate.getsockname()[1]}"}
        answers: list[tuple[int, Any]] = []
        calling = threading.Thread(target=lambda: answers.append(server.call("POST", "/models/waiting/predict", text)))
        calling.start()
        connection, _ = gate.accept()  # the pass has begun
        started = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("server_stopping")
        connection.close()
        calling.join(CALL_SECONDS)
        assert answers[0][0] == 200
        assert server.process.wait(CALL_SECONDS) == 0
        assert time.perf_counter() - started < 10, "Cloud Run kills what takes longer"
