"""A worker's zip as Lambda starts it: in a process of its own, with nothing of the repository on its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.local.emulator import Emulator
from scripts.stack_defaults import worker_environment
from tests import emf
from tests.events import golden
from tests.integration.conftest import E2E_MODELS
from tests.integration.package_process import CONTEXT, run_script, unpacked_worker
from tests.integration.system import TABLE, System

SCRIPT = f"""{CONTEXT}
import json, sys
from worker import handler
for event in json.load(sys.stdin):
    print(json.dumps({{"answer": handler.handler(event, Context())}}))
"""


@pytest.fixture(scope="module")
def worker_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_worker(tmp_path_factory.mktemp("worker"), E2E_MODELS, "wordcount")


def run(package: Path, events: list[Any], environment: dict[str, str]) -> list[dict[str, Any]]:
    """What it printed: log lines, and its answers."""
    process = run_script(package, SCRIPT, environment, events)
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


def environment_of(system: System, emulator: Emulator) -> dict[str, str]:
    worker = {"REQUEST_TABLE": TABLE, "MODELS": '{"wordcount": "wordcount"}', "METRICS_ENVIRONMENT": "p"}
    return emulator.env | worker_environment() | worker | {"QUEUE_URL": system.urls["wordcount"]}


def test_a_batch_in_two_events(worker_package: Path, emulated_system: System, emulator: Emulator) -> None:
    system = emulated_system
    texts = ["one", "one two", "one two three"]
    ids = [system.predict({"text": text}, model="wordcount")["json"]["request_id"] for text in texts]
    first, *others = system.receive("wordcount")
    events = [{"Records": [first]}, {"Records": others}]
    lines = run(worker_package, events, environment_of(system, emulator))
    assert [line["answer"] for line in lines if "answer" in line] == [{"batchItemFailures": []}] * 2
    logged = [line for line in lines if "event" in line]
    assert logged[0]["event"] == "model_loaded"
    finished = [line for line in logged if line["event"] == "requests_succeeded"]
    assert [line["cold_start"] for line in finished] == [True, False]
    assert {request_id for line in finished for request_id in line["request_ids"]} == set(ids)
    cold, warm = [emf.read(json.dumps(line)) for line in lines if "_aws" in line]
    assert cold.keys() - warm.keys() == {"ColdStart", "LoadTime"}
    assert [line["Succeeded"].values for line in (cold, warm)] == [[1], [2]]
    assert cold["LoadTime"].dimensions == {"Environment": "p", "Model": "wordcount"}
    assert all(value > 0 for line in (cold, warm) for value in line["EndToEnd"].values)
    results = [system.status(request_id)["json"]["result"] for request_id in ids]
    assert results == [{"words": 1}, {"words": 2}, {"words": 3}]


def test_a_bad_message_is_reported_by_its_id(worker_package: Path, emulated_system: System, emulator: Emulator) -> None:
    event = golden("sqs_1")
    event["Records"][0]["body"] = "x"
    lines = run(worker_package, [event], environment_of(emulated_system, emulator))
    (answer,) = [line["answer"] for line in lines if "answer" in line]
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}


def test_a_worker_without_its_settings_names_them_all(worker_package: Path) -> None:
    process = run_script(worker_package, "import worker.handler", {})
    assert process.returncode != 0
    for name in ("REQUEST_TABLE", "MODELS", "QUEUE_URL", *worker_environment()):
        assert f"{name} is missing" in process.stderr
