"""The real Cog server with the sentiment folder, and our adapter."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inference.requests import ErrorCode
from tests.providers.callbacks import Callbacks, rejects
from tests.providers.conftest import INPUTS
from tests.providers.processes import until
from tests.providers.servers import BEARER, cog_server
from worker.backends import make_backend
from worker.backends.base import Backend, Failed, Gone, Running, Submission, Succeeded


@pytest.fixture(scope="module")
def cog(apps: Mapping[str, Path]) -> Iterator[str]:
    """A server's URL."""
    with cog_server(apps["cog"]) as url:
        yield url


@pytest.fixture
def backend(cog: str) -> Backend:
    return make_backend({"kind": "cog", "url": cog}, {"token": "t", "webhook_secret": BEARER})


def test_it_answers_as_a_worker_does(backend: Backend, callbacks: Callbacks, expected: list[dict[str, Any]]) -> None:
    for number, (value, wanted) in enumerate(zip(INPUTS, expected, strict=True), start=1):
        look = callbacks.outcome(backend, value, number)
        if "output" in wanted:
            assert isinstance(look, Succeeded)
            assert look.output == wanted["output"]
            assert look.run_seconds is not None
        else:
            assert isinstance(look, Failed)
            assert (look.code, look.message, look.retryable) == (ErrorCode.INVALID_INPUT, wanted["error"], False)


def test_its_callbacks_have_the_bearer_token(backend: Backend, cog: str, callbacks: Callbacks) -> None:
    callbacks.outcome(backend, INPUTS[0], 11)
    (headers, body), *_ = callbacks.raw
    assert rejects(make_backend({"kind": "cog", "url": cog}, {"token": "t", "webhook_secret": "other"}), headers, body)
    assert rejects(backend, {}, body)


def test_a_callback_that_was_not_taken_comes_again(backend: Backend, callbacks: Callbacks) -> None:
    callbacks.lost = 1
    assert isinstance(callbacks.outcome(backend, INPUTS[0], 12), Succeeded)
    assert len(callbacks.asked) == 2


def test_a_server_that_has_started_since_has_lost_the_run(backend: Backend) -> None:
    now = int(time.time())
    assert backend.look(f"r1-13-{now}") == Running()
    assert backend.look(f"r1-13-{now - 3600}") == Gone()
    backend.cancel(f"r1-13-{now}")


def test_predictions_at_a_time_share_passes(backend: Backend, callbacks: Callbacks) -> None:
    url = f"{callbacks.url}/callbacks/m/r1/20/sig"
    ids = {backend.submit(Submission("r1", number, INPUTS[0], url, 60)) for number in range(20, 30)}

    def names() -> set[str]:
        return {backend.read_callback(headers, body).provider_id for headers, body in callbacks.raw}

    until(lambda: names() == ids, "ten callbacks")
