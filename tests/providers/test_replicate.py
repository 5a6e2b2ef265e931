"""Replicate's client and our adapter against the same API: a stand-in in front of the real Cog server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inference.requests import ErrorCode
from tests.providers.callbacks import Callbacks, changed, looked, rejects
from tests.providers.conftest import INPUTS
from tests.providers.processes import PROVIDERS, free_port, get, process, python_of, run_code, until
from tests.providers.replicate_api import ReplicateApi
from worker.backends import make_backend
from worker.backends.base import Backend, Failed, Gone, Misconfigured, Submission, Succeeded

TOKEN = "r8_token"
SIGNING = "whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"


@pytest.fixture(scope="module")
def api(apps: Mapping[str, Path]) -> Iterator[ReplicateApi]:
    port = free_port()
    variables = {
        "PORT": str(port),
        "COG_PREDICT_TYPE_STUB": str(apps["cog"] / "predict.py:Runner"),
        "COG_MAX_CONCURRENCY": "10",
    }
    cog = f"http://127.0.0.1:{port}"
    with process(PROVIDERS, ["-m", "cog.server.http", "--host", "127.0.0.1"], apps["cog"], variables):
        until(lambda: get(f"{cog}/health-check")["status"] == "READY", "the Cog server")
        with ReplicateApi(TOKEN, SIGNING, cog).running() as running:
            yield running


def backend_of(api: ReplicateApi, token: str = TOKEN, signing: str = SIGNING) -> Backend:
    settings = {"kind": "replicate", "url": api.url, "endpoint": "owner/name:0a1b"}
    return make_backend(settings, {"token": token, "webhook_secret": signing})


@pytest.fixture
def backend(api: ReplicateApi) -> Backend:
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


def test_a_forged_callback_is_not_believed(api: ReplicateApi, backend: Backend, callbacks: Callbacks) -> None:
    callbacks.outcome(backend, INPUTS[0])
    (headers, body), *_ = callbacks.raw
    assert not rejects(backend, headers, body)
    assert not rejects(backend, headers, body), "doubled: the dispatcher's fence is what counts"
    assert rejects(backend, headers, changed(body))
    assert rejects(backend, {}, body)
    assert rejects(backend_of(api, signing="whsec_MTExMTExMTExMTExMTExMTExMTExMTEx"), headers, body)


def test_its_own_client_gets_the_same(api: ReplicateApi, backend: Backend, apps: Mapping[str, Path]) -> None:
    code = (
        "import json, replicate\n"
        f"client = replicate.Client(api_token={TOKEN!r}, base_url={api.url!r})\n"
        f"found = client.predictions.create(version='0a1b', input={INPUTS[1]!r})\n"
        "found.wait()\n"
        f"wrong = client.predictions.create(version='0a1b', input={INPUTS[3]!r})\n"
        "wrong.wait()\n"
        "print(json.dumps([found.status, found.output, wrong.status, wrong.error]))"
    )
    status, output, wrong, error = run_code(python_of(PROVIDERS), code, apps["cog"])
    ours = looked(backend, INPUTS[1])
    assert isinstance(ours, Succeeded)
    assert (status, output) == ("succeeded", ours.output)
    failed = looked(backend, INPUTS[3])
    assert isinstance(failed, Failed)
    assert wrong == "failed"
    assert failed.message in error


def test_what_is_not_there_and_who_may_not(api: ReplicateApi, backend: Backend) -> None:
    assert backend.look("unknown") == Gone()
    backend.cancel("unknown")
    with pytest.raises(Misconfigured):
        backend_of(api, token="other").submit(Submission("r1", 1, {}, None, 60))
