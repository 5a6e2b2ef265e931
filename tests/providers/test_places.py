"""One model folder, five places: each answers the same inputs with the same numbers.

pytest -s -k places tests/providers/test_places.py        prints the table
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment.environment_config import MODELS
from scripts.local.emulator import Emulator
from scripts.stack_defaults import worker_environment
from tests.integration.conftest import emulated_system, emulator, module_patch, on_emulator, package
from tests.integration.package_process import CONTEXT, run_script, unpacked_worker
from tests.integration.sync_process import event_of, lambda_calls, served
from tests.integration.system import TABLE, System
from tests.providers.callbacks import Callbacks, looked
from tests.providers.conftest import INPUTS
from tests.providers.runpod_platform import RunPodPlatform
from tests.providers.servers import BEARER, cog_server, runpod_worker
from worker.backends import make_backend
from worker.backends.base import Failed, Look, Succeeded

__all__ = ["emulated_system", "emulator", "module_patch", "on_emulator", "package"]

ROUTE = "/models/sentiment/predict"
WORKER = f"""{CONTEXT}
import json, sys
from worker import handler
for event in json.load(sys.stdin):
    assert handler.handler(event, Context()) == {{"batchItemFailures": []}}
"""

Answers = list[dict[str, Any]]
"""For each of INPUTS: `output`, or the words of why it is rejected, as `error`."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker's package, with the room of the synchronous function."""
    return unpacked_worker(tmp_path_factory.mktemp("sentiment"), MODELS, "sentiment", rooms=["sync"])


def from_worker(folder: Path, system: System, running: Emulator) -> Answers:
    """Submitted to the API; the messages go to the worker, whose outcomes are in the table."""
    submitted = [system.predict(value)["json"] for value in INPUTS]
    settings = {"REQUEST_TABLE": TABLE, "MODELS": '{"sentiment": "sentiment"}', "METRICS_ENVIRONMENT": "p"}
    environment = running.env | worker_environment() | settings | {"QUEUE_URL": system.urls["sentiment"]}
    done = run_script(folder, WORKER, environment, [{"Records": system.receive("sentiment")}])
    assert done.returncode == 0, done.stderr
    return [
        {"output": system.status(one["request_id"])["json"]["result"]} if "request_id" in one else problem(one)
        for one in submitted
    ]


def problem(body: Mapping[str, Any]) -> dict[str, Any]:
    """A rejection; the asynchronous API puts the reason into a sentence of its own."""
    return {"error": body["detail"].removeprefix("The input violates the schema of 'sentiment': ").removesuffix(".")}


def from_sync(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"output": body["result"]} if status == 200 else problem(body)


def from_function(folder: Path) -> Answers:
    """The synchronous function, by events of an HTTP API."""
    events = [event_of("POST", ROUTE, json.dumps(value)) for value in INPUTS]
    code, lines = lambda_calls(folder, "sentiment", *events)
    assert code == 0
    answers = [line["answer"] for line in lines if "answer" in line]
    return [from_sync(answer["statusCode"], json.loads(answer["body"])) for answer in answers]


def from_server(folder: Path) -> Answers:
    """The same app under uvicorn, by HTTP."""
    with served(folder) as server:
        return [from_sync(*server.call("POST", ROUTE, value)) for value in INPUTS]


def from_look(look: Look) -> dict[str, Any]:
    if isinstance(look, Succeeded):
        return {"output": look.output}
    assert isinstance(look, Failed)
    return {"error": look.message}


def from_cog(app: Path, callbacks: Callbacks) -> Answers:
    """The real Cog server, through our adapter."""
    with cog_server(app) as url:
        backend = make_backend({"kind": "cog", "url": url}, {"token": "t", "webhook_secret": BEARER})
        return [from_look(callbacks.outcome(backend, value, number)) for number, value in enumerate(INPUTS, 1)]


def from_runpod(app: Path) -> Answers:
    """RunPod's real worker behind a stand-in of its platform, through our adapter."""
    with RunPodPlatform("rpa_key").running() as platform, runpod_worker(platform, app):
        settings = {"kind": "runpod", "url": f"{platform.url}/v2", "endpoint": "abc123"}
        backend = make_backend(settings, {"token": "rpa_key"})
        return [from_look(looked(backend, value, number)) for number, value in enumerate(INPUTS, 1)]


@pytest.fixture
def places(
    folder: Path, apps: Mapping[str, Path], callbacks: Callbacks, emulated_system: System, emulator: Emulator
) -> dict[str, Answers]:
    return {
        "Lambda's worker": from_worker(folder, emulated_system, emulator),
        "synchronous function": from_function(folder),
        "uvicorn server": from_server(folder),
        "Cog": from_cog(apps["cog"], callbacks),
        "RunPod's worker": from_runpod(apps["runpod"]),
    }


def test_all_places_answer_with_the_same_numbers(places: Mapping[str, Answers]) -> None:
    print()
    for place, answers in places.items():
        print(f"{place:22}", *(_short(answer) for answer in answers), sep=" | ")
    expected = places["Lambda's worker"]
    assert ["output" in answer for answer in expected] == [True, True, True, False, False]
    assert [answer["output"]["prediction"] for answer in expected[:2]] == ["positive", "negative"]
    for place, answers in places.items():
        assert answers == expected, place


def _short(answer: Mapping[str, Any]) -> str:
    if "error" in answer:
        return str(answer["error"])
    return f"{answer['output']['prediction']} {answer['output']['confidence']!r}"
