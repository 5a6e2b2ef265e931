"""RunPod's real worker SDK with the sentiment folder, a stand-in of its platform, our adapter and RunPod's client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inference.requests import ErrorCode
from tests.providers.callbacks import Callbacks, looked
from tests.providers.conftest import INPUTS
from tests.providers.processes import PROVIDERS, python_of, run_code, until
from tests.providers.runpod_platform import RunPodPlatform
from tests.providers.servers import runpod_worker
from worker.backends import make_backend
from worker.backends.base import (
    Backend,
    Failed,
    Gone,
    Misconfigured,
    Refused,
    Running,
    Submission,
    Succeeded,
    Uncertain,
)

KEY = "rpa_key"


@pytest.fixture(scope="module")
def platform() -> Iterator[RunPodPlatform]:
    with RunPodPlatform(KEY).running() as running:
        yield running


@pytest.fixture(scope="module")
def worker(platform: RunPodPlatform, apps: Mapping[str, Path]) -> Iterator[None]:
    with runpod_worker(platform, apps["runpod"]):
        yield


def backend_of(platform: RunPodPlatform, key: str = KEY) -> Backend:
    return make_backend({"kind": "runpod", "url": f"{platform.url}/v2", "endpoint": "abc123"}, {"token": key})


@pytest.fixture
def backend(platform: RunPodPlatform) -> Backend:
    return backend_of(platform)


def test_a_platform_without_a_worker(platform: RunPodPlatform, backend: Backend) -> None:
    """What the dispatcher meets; before the module's worker starts."""
    submission = Submission("r1", 1, {"text": "x"}, None, 60)
    platform.submit_faults.extend(["refused", "lost", "none"])
    with pytest.raises(Refused) as refused:
        backend.submit(submission)
    assert refused.value.retry_after == 1
    assert not platform.jobs
    with pytest.raises(Uncertain):
        backend.submit(submission)
    assert len(platform.jobs) == 1, "it was taken, and nobody knows its id"
    provider_id = backend.submit(submission)
    assert backend.look(provider_id) == Running()
    backend.cancel(provider_id)
    assert backend.look(provider_id) == Failed("RunPod ended the run: it was cancelled", True)
    platform.forget(provider_id)
    assert backend.look(provider_id) == Gone()
    backend.cancel(provider_id)
    platform.down = True
    with pytest.raises(Refused):
        backend.look(provider_id)
    platform.down = False
    with pytest.raises(Misconfigured):
        backend_of(platform, "other").submit(submission)


def test_it_answers_as_a_worker_does(
    worker: None, backend: Backend, callbacks: Callbacks, expected: list[dict[str, Any]]
) -> None:
    for number, (value, wanted) in enumerate(zip(INPUTS, expected, strict=True), start=1):
        look = callbacks.outcome(backend, value, number)
        if "output" in wanted:
            assert look == Succeeded(wanted["output"], 1.5)
        else:
            assert look == Failed(wanted["error"], False, None, ErrorCode.INVALID_INPUT)


def test_a_callback_may_be_lost_and_doubled(
    worker: None, platform: RunPodPlatform, backend: Backend, callbacks: Callbacks
) -> None:
    callbacks.lost = 1
    assert isinstance(callbacks.outcome(backend, INPUTS[0], 6), Succeeded)
    assert len(callbacks.asked) == 2
    (_, body), *_ = callbacks.raw
    platform.call_back(json.loads(body)["id"])
    until(lambda: len(callbacks.raw) == 2, "the same callback again")
    assert callbacks.raw[0][1] == callbacks.raw[1][1]


def test_jobs_that_wait_are_taken_together(worker: None, platform: RunPodPlatform, backend: Backend) -> None:
    ids = [backend.submit(Submission("r1", number, INPUTS[0], None, 60)) for number in range(30)]
    until(lambda: all(isinstance(backend.look(provider_id), Succeeded) for provider_id in ids), "thirty jobs")
    assert any("job-take-batch" in asked.path for asked in platform.asked)


def test_runpods_own_client_gets_the_same(
    worker: None, platform: RunPodPlatform, apps: Mapping[str, Path], backend: Backend
) -> None:
    code = (
        "import json, runpod\n"
        f"runpod.api_key = {KEY!r}\n"
        f"run = runpod.Endpoint('abc123').run({{'input': {INPUTS[0]!r}}})\n"
        "print(json.dumps([run.output(timeout=30), run.status()]))"
    )
    found = run_code(python_of(PROVIDERS), code, apps["runpod"], RUNPOD_ENDPOINT_BASE_URL=f"{platform.url}/v2")
    ours = looked(backend, INPUTS[0])
    assert isinstance(ours, Succeeded)
    assert found == [ours.output, "COMPLETED"]
