"""The Beam app that is written for the sentiment folder, run by `.local()` behind a stand-in of Beam's API."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inference.requests import ErrorCode
from scripts.console import ROOT
from tests.providers.beam_api import BeamApi
from tests.providers.callbacks import Callbacks, changed, looked, rejects
from tests.providers.conftest import INPUTS
from tests.providers.processes import BEAM, process
from worker.backends import make_backend
from worker.backends.base import Backend, Failed, Gone, Misconfigured, Submission, Succeeded

TOKEN, KEY = "beam-token", "sk_signing"


@pytest.fixture(scope="module")
def api(apps: Mapping[str, Path]) -> Iterator[BeamApi]:
    app = apps["beam"]
    script = str(ROOT / "tests" / "providers" / "beam_process.py")
    variables = {"PYTHONPATH": f"{app}:{app / 'app'}", "BEAM_TOKEN": TOKEN}  # it wants one to import
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with process(BEAM, [script], app, variables, **pipes) as worker, BeamApi(TOKEN, KEY, worker).running() as running:
        yield running


def backend_of(api: BeamApi, token: str = TOKEN, key: str = KEY) -> Backend:
    settings = {"kind": "beam", "url": f"{api.url}/queue", "api_url": api.url}
    return make_backend(settings, {"token": token, "webhook_secret": key})


@pytest.fixture
def backend(api: BeamApi) -> Backend:
    return backend_of(api)


def test_it_answers_as_a_worker_does(backend: Backend, callbacks: Callbacks, expected: list[dict[str, Any]]) -> None:
    for number, (value, wanted) in enumerate(zip(INPUTS, expected, strict=True), start=1):
        look = callbacks.outcome(backend, value, number)
        if "output" in wanted:
            assert isinstance(look, Succeeded)
            assert look.output == wanted["output"]
        else:
            assert isinstance(look, Failed)
            assert (look.code, look.message, look.retryable) == (ErrorCode.INVALID_INPUT, wanted["error"], False)


def test_a_forged_callback_is_not_believed(api: BeamApi, backend: Backend, callbacks: Callbacks) -> None:
    callbacks.outcome(backend, INPUTS[0])
    (headers, body), *_ = callbacks.raw
    assert not rejects(backend, headers, body)
    assert rejects(backend, headers, changed(body))
    assert rejects(backend, {"x-task-id": headers["x-task-id"]}, body)
    assert rejects(backend_of(api, key="other"), headers, body)


def test_a_lost_callback_is_made_up_for_by_a_look(backend: Backend, expected: list[dict[str, Any]]) -> None:
    look = looked(backend, INPUTS[0])
    assert isinstance(look, Succeeded)
    assert look.output == expected[0]["output"]


def test_what_is_not_there_and_who_may_not(api: BeamApi, backend: Backend) -> None:
    assert backend.look("unknown") == Gone()
    backend.cancel("unknown")
    with pytest.raises(Misconfigured):
        backend_of(api, token="other").submit(Submission("r1", 1, {}, None, 60))
