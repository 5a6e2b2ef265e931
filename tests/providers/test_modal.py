"""The Modal app that is written for the sentiment folder imports with Modal's SDK, and its API answers our adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inference.requests import ErrorCode
from scripts.console import ROOT
from tests.providers.callbacks import Callbacks
from tests.providers.conftest import INPUTS
from tests.providers.json_server import post
from tests.providers.processes import PROVIDERS, free_port, process, until
from worker.backends import make_backend
from worker.backends.base import Backend, Failed, Gone, Misconfigured, Rejected, Submission, Succeeded

TOKEN = "modal-token"


@pytest.fixture(scope="module")
def modal(apps: Mapping[str, Path]) -> Iterator[str]:
    """The API's URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    app = apps["modal"]
    variables = {"PYTHONPATH": f"{app}:{app / 'app'}"}
    script = str(ROOT / "tests" / "providers" / "modal_process.py")
    with process(PROVIDERS, [script, str(port), TOKEN], app, variables):
        until(lambda: post(f"{url}/submit", b"{}", {}) == 401, "the app's API")
        yield url


def backend_of(url: str, token: str = TOKEN) -> Backend:
    return make_backend({"kind": "modal", "url": url}, {"token": token})


def test_it_answers_as_a_worker_does(modal: str, callbacks: Callbacks, expected: list[dict[str, Any]]) -> None:
    backend = backend_of(modal)
    for number, (value, wanted) in enumerate(zip(INPUTS, expected, strict=True), start=1):
        look = callbacks.outcome(backend, value, number)
        if "output" in wanted:
            assert isinstance(look, Succeeded)
            assert look.output == wanted["output"]
            assert look.run_seconds is not None
        else:
            assert isinstance(look, Failed)
            assert (look.code, look.message, look.retryable) == (ErrorCode.INVALID_INPUT, wanted["error"], False)


def test_what_is_not_there_and_who_may_not(modal: str) -> None:
    backend = backend_of(modal)
    assert backend.look("fc-unknown") == Gone()
    backend.cancel("fc-unknown")
    for call in (
        lambda: backend_of(modal, "other").submit(Submission("r1", 1, {}, None, 60)),
        lambda: backend_of(modal, "other").look("fc-unknown"),
        lambda: backend_of(modal, "other").cancel("fc-unknown"),
    ):
        with pytest.raises(Misconfigured):
            call()
    assert post(f"{modal}/submit", b"{}", {"Authorization": f"Bearer {TOKEN}"}) == 422


def test_a_cancelled_run_is_over(modal: str) -> None:
    backend = backend_of(modal)
    provider_id = backend.submit(Submission("r1", 1, INPUTS[0], None, 60))
    until(lambda: isinstance(backend.look(provider_id), Succeeded), "the run")
    backend.cancel(provider_id)
    assert isinstance(backend.look(provider_id), Succeeded), "what is over stays as it is"


def test_a_wrong_body_is_rejected_by_name(modal: str) -> None:
    assert issubclass(Misconfigured, Rejected)
    assert post(f"{modal}/submit", b"[]", {"Authorization": f"Bearer {TOKEN}"}) == 422
