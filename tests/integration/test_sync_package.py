"""The synchronous app as it ships, in processes of its own: behind Lambda's events, and as a server."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from scripts.deployment.environment_config import MODELS
from tests.integration.package_process import run_script, unpacked_worker
from tests.integration.sync_process import SECONDS, event_of, lambda_calls, served
from tests.unit.model_folders import plain_manifest

MODEL = """
import threading
from pathlib import Path
from worker.model import Model


class Waiting(Model):
    def predict(self, inputs):
        for item in inputs:
            if item["text"].startswith("wait "):
                begun = Path(item["text"].removeprefix("wait "))
                begun.touch()
                while begun.exists():
                    threading.Event().wait(0.01)
        return [{"words": len(item["text"].split())} for item in inputs]
"""


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_worker(tmp_path_factory.mktemp("sentiment"), MODELS, "sentiment", rooms=["sync"])


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that waits while the file exists that an input names."""
    folder = tmp_path_factory.mktemp("models") / "waiting"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(plain_manifest() | {"name": "waiting"}))
    (folder / "model.py").write_text(MODEL)
    return unpacked_worker(tmp_path_factory.mktemp("waiting"), folder.parent, "waiting", rooms=["sync"])


def test_the_function_answers_events(sentiment: Path) -> None:
    good, bad = json.dumps({"text": "worst delay of my life"}), json.dumps({"text": ""})
    code, lines = lambda_calls(
        sentiment,
        "sentiment",
        event_of("POST", "/models/sentiment/predict", good),
        event_of("POST", "/models/sentiment/batch", f'{{"items": [{good}, {bad}]}}'),
        event_of("POST", "/models/sentiment/predict", bad),
        event_of("GET", "/models/sentiment/health"),
    )
    assert code == 0
    one, batch, problem, health = (line["answer"] for line in lines if "answer" in line)
    assert (one["statusCode"], json.loads(one["body"])["result"]["prediction"]) == (200, "negative")
    assert [item["status"] for item in json.loads(batch["body"])["items"]] == ["succeeded", "failed"]
    assert (problem["statusCode"], problem["isBase64Encoded"]) == (422, False)
    assert problem["headers"]["content-type"] == "application/problem+json"
    assert json.loads(health["body"])["models"] == {"sentiment": {"version": "1.0.0", "loaded": True}}
    assert lines[-1] == {"loaded": True, "imported": []}
    sent = [line for line in lines if line.get("event") == "response_sent"]
    assert [line["cold_start"] for line in sent] == [True, False, False, False]


def test_a_ping_loads_the_model_and_is_no_traffic(sentiment: Path) -> None:
    health = event_of("GET", "/models/sentiment/health")
    _, lines = lambda_calls(sentiment, "sentiment", {"ping": {"hold_ms": 0}}, health)
    ping, answer = (line["answer"] for line in lines if "answer" in line)
    assert ping == {}
    assert json.loads(answer["body"])["models"]["sentiment"]["loaded"]
    assert [line["cold_start"] for line in lines if line.get("event") == "response_sent"] == [False]


def test_a_process_whose_pass_does_not_end_answers_and_is_replaced(waiting: Path, tmp_path: Path) -> None:
    stuck = json.dumps({"text": f"wait {tmp_path / 'for-ever'}"})
    code, lines = lambda_calls(
        waiting,
        "waiting",
        event_of("POST", "/models/waiting/predict", stuck, remaining_ms=1700),
        event_of("POST", "/models/waiting/predict", '{"text": "a b"}'),
    )
    (answer,) = [line["answer"] for line in lines if "answer" in line]
    assert answer["statusCode"] == 504
    assert answer["headers"]["link"].startswith("</predict/waiting>")
    assert json.loads(answer["body"])["async_url"] == "/predict/waiting"
    assert (code, lines[-1]["event"]) == (1, "process_replaced"), "Lambda starts another process"


def test_the_server_answers_as_the_function_does(sentiment: Path) -> None:
    with served(sentiment) as server:
        assert server.lines[-1]["host"] == "127.0.0.1", "outside of a container nobody else may call it"
        status, body = server.call("POST", "/models/sentiment/predict", {"text": "worst delay of my life"})
        assert (status, body["result"]["prediction"]) == (200, "negative")
        assert server.call("GET", "/health")[1]["models"]["sentiment"]["loaded"], "before it listens"
        description = server.call("GET", "/openapi.json")[1]
        assert {"/models/sentiment/predict", "/health"} <= description["paths"].keys()
        assert server.call("POST", "/models/sentiment/predict", {"text": "x" * 5_000_000})[0] == 413


def test_sigterm_ends_the_call_that_runs_and_then_the_server(waiting: Path, tmp_path: Path) -> None:
    with served(waiting) as server:
        thread, answers = server.predict_in_background(tmp_path / "running")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("server_stopping")
        with pytest.raises(OSError):  # it takes no more calls; asked until it has closed its socket
            for _ in range(1000):
                server.call("GET", "/health")
        (tmp_path / "running").unlink()
        thread.join(SECONDS)
        assert answers == [(200, {"model": "waiting", "model_version": "1.0.0", "result": {"words": 2}})]
        assert not server.wait_for("server_stopped")["failed"]
        assert server.process.wait(SECONDS) == 0


def test_a_busy_server_answers_health_and_rejects_what_can_not_wait(waiting: Path, tmp_path: Path) -> None:
    with served(waiting, MAX_WAITING="0", ASYNC_URL="https://api.example.com/") as server:
        thread, answers = server.predict_in_background(tmp_path / "running")
        status, body = server.call("POST", "/models/waiting/predict", {"text": "a b"})
        assert (status, body["async_url"]) == (429, "https://api.example.com/predict/waiting")
        assert server.call("GET", "/health")[0] == 200
        (tmp_path / "running").unlink()
        thread.join(SECONDS)
        assert answers[0][0] == 200


def test_a_server_whose_pass_does_not_end_exits(waiting: Path, tmp_path: Path) -> None:
    with served(waiting, TIMEOUT_SECONDS="1") as server:
        thread, answers = server.predict_in_background(tmp_path / "for-ever")
        thread.join(SECONDS)
        assert (answers[0][0], answers[0][1]["type"]) == (504, "/problems/timeout")
        assert server.wait_for("process_replaced")["level"] == "ERROR"
        assert server.wait_for("server_stopped")["failed"]
        assert server.process.wait(SECONDS) == 1


def test_a_server_with_bad_settings_names_them_all(sentiment: Path) -> None:
    script = "import sys; from worker.sync import server; sys.exit(server.main())"
    process = run_script(sentiment, script, {"PORT": "http", "TIMEOUT_SECONDS": "0"})
    assert process.returncode == 2
    assert "PORT is 'http'" in process.stderr and "TIMEOUT_SECONDS is '0'" in process.stderr
