"""The synchronous app: its answers, in the words and with the problem documents of the asynchronous API."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from inference.http.problems import PROBLEMS
from inference.http.sync_problems import SYNC_PROBLEMS
from tests.unit.sync_harness import ASYNC_URL, Answer, SyncHarness, call
from worker.model.errors import InputError, NotLoadedError, OutputError
from worker.sync.predictions import Limits

PREDICT, BATCH = "/models/echo/predict", "/models/echo/batch"
LINK = f'<{ASYNC_URL}/predict/echo>; rel="alternate"; title="asynchronous"'


def assert_problem(answer: Answer, status: int, kind: str, *, helps: bool) -> None:
    """It is this problem, and it names the asynchronous route where that helps, and only there."""
    assert (answer.status, answer.json["type"], answer.json["status"]) == (status, f"/problems/{kind}", status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get("link") == (LINK if helps else None)
    assert answer.json.get("async_url") == (f"{ASYNC_URL}/predict/echo" if helps else None)


def test_an_input_is_predicted() -> None:
    answer = SyncHarness().post(PREDICT, {"text": "a"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == {"model": "echo", "model_version": "1.0.0", "result": {"echo": "a", "threshold": 0.5}}


def test_a_batch_is_one_pass_and_each_item_has_its_own_result_or_error() -> None:
    harness = SyncHarness()
    harness.model.reactions = {"raises": ValueError("no"), "rejects": InputError("odd"), "bad": OutputError("nan")}
    texts = ["a", "", "raises", "rejects", "bad", "b"]
    answer = harness.post(BATCH, {"items": [{"text": text} for text in texts]})
    assert (answer.status, answer.json["model"], answer.json["model_version"]) == (200, "echo", "1.0.0")
    items = answer.json["items"]
    assert [item["index"] for item in items] == list(range(6))
    assert [item["status"] for item in items] == ["succeeded", *["failed"] * 4, "succeeded"]
    assert items[0]["result"] == {"echo": "a", "threshold": 0.5}
    assert items[0]["error"] is None
    codes = [item["error"]["code"] for item in items[1:5]]
    assert codes == ["invalid_input", "model_error", "invalid_input", "invalid_output"]
    assert harness.model.passes[0] == ["a", "raises", "rejects", "bad", "b"]
    assert harness.other.passes == []


@pytest.mark.parametrize(
    ("reaction", "status", "kind", "code"),
    [
        (InputError("odd"), 422, "invalid-input", None),
        (ValueError("no"), 500, "model-error", "model_error"),
        (OutputError("nan"), 500, "model-error", "invalid_output"),
        (MemoryError(), 500, "model-error", "out_of_memory"),
        (SystemExit(3), 500, "model-error", "model_error"),
        (NotLoadedError("no weights"), 503, "model-not-loaded", "model_not_loaded"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_a_model_raises(reaction: BaseException, status: int, kind: str, code: str | None) -> None:
    harness = SyncHarness()
    harness.model.reactions = {"a": reaction}
    answer = harness.post(PREDICT, {"text": "a"})
    assert_problem(answer, status, kind, helps=code == "model_not_loaded")
    assert (answer.json.get("code"), answer.json["model"], answer.json["model_version"]) == (code, "echo", "1.0.0")
    assert ("retry-after" in answer.headers) == (status == 503)
    assert harness.post(PREDICT, {"text": "b"}).status == 200


def test_a_batch_of_a_model_that_does_not_load_is_one_problem() -> None:
    harness = SyncHarness()
    harness.model.reactions = {"a": NotLoadedError("no weights")}
    assert_problem(harness.post(BATCH, {"items": [{"text": "a"}]}), 503, "model-not-loaded", helps=True)


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"{", {}, 400, "not-json"),
        (b'{"text": NaN}', {}, 400, "not-json"),
        (b"\xff", {}, 400, "not-json"),
        (json.dumps([[[[[[1]]]]]]).encode(), {}, 400, "not-json"),
        (b"{}", {"content_type": "text/xml"}, 415, "unsupported-media-type"),
        (b"{}", {"content_encoding": "gzip"}, 415, "unsupported-content-encoding"),
        (b'{"text": ""}', {}, 422, "invalid-input"),
        (b"7", {}, 422, "invalid-input"),
    ],
)
def test_a_bad_input(body: bytes, headers: dict[str, str], status: int, kind: str) -> None:
    harness = SyncHarness()
    assert_problem(harness.post(PREDICT, body, **headers), status, kind, helps=False)
    assert harness.model.passes == []


@pytest.mark.parametrize(
    "value", [{"items": []}, {"items": [{"text": "a"}] * 11}, {"items": 1}, [], {"items": [], "x": 1}]
)
def test_a_bad_batch(value: Any) -> None:
    assert_problem(SyncHarness().post(BATCH, value), 422, "invalid-batch", helps=False)


def test_how_many_items_a_batch_may_have() -> None:
    items = {"items": [{"text": "a"}] * 11}
    assert "1 to 10" in SyncHarness().post(BATCH, items).json["detail"], "the model's batch_size"
    assert SyncHarness(Limits(1000, 5, batch_items=11)).post(BATCH, items).status == 200


def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    harness = SyncHarness()
    parts = [b" " * 600] * 4

    async def send() -> Answer:
        return await call(harness.app, "POST", PREDICT, parts, {})

    assert_problem(asyncio.run(send()), 413, "too-large", helps=True)


def test_a_reference_to_an_upload_is_answered_with_the_asynchronous_address() -> None:
    for path, value in ((PREDICT, {"text": {"$ref": "/uploads/1"}}), (BATCH, {"items": [{"$ref": "/uploads/1"}]})):
        harness = SyncHarness()
        assert_problem(harness.post(path, value), 422, "invalid-reference", helps=True)
        assert harness.model.passes == []


def test_a_response_that_is_too_large() -> None:
    harness = SyncHarness(Limits(5000, 5, response_bytes=1000))
    assert harness.post(PREDICT, {"text": "x" * 800}).status == 200
    assert_problem(harness.post(PREDICT, {"text": "x" * 990}), 422, "result-too-large", helps=True)
    # As a text in JSON each quote has two characters more.
    assert_problem(harness.post(PREDICT, {"text": '"' * 300}), 422, "result-too-large", helps=True)


def test_without_an_asynchronous_api_no_address_is_named() -> None:
    answer = SyncHarness(async_url=None).post(PREDICT, b" " * 2000)
    assert answer.status == 413
    assert "async_url" not in answer.json and "link" not in answer.headers
    assert SyncHarness(async_url="").post(PREDICT, b" " * 2000).json["async_url"] == "/predict/echo"


def test_a_pass_that_takes_too_long_is_answered_and_the_next_calls_are_served() -> None:
    harness, go_on = SyncHarness(), threading.Event()
    harness.model.reactions = {"slow": lambda: go_on.wait(20)}
    harness.seconds = 0.05
    answer = harness.post(PREDICT, {"text": "slow"})
    assert_problem(answer, 504, "timeout", helps=True)
    assert answer.json["code"] == "timeout"
    assert harness.get("/health").status == 200, "while the pass runs on"
    go_on.set()
    assert harness.lane.wait_until_free(20)
    harness.seconds = 30
    assert harness.post(PREDICT, {"text": "a"}).status == 200


def test_a_busy_process_rejects_calls_and_says_how_it_is() -> None:
    harness, go_on, started = SyncHarness(), threading.Event(), threading.Event()
    harness.model.reactions = {"slow": lambda: (started.set(), go_on.wait(20))}

    async def calls() -> list[Answer]:
        def post(text: str) -> asyncio.Task[Answer]:
            body = json.dumps({"text": text}).encode()
            return asyncio.create_task(call(harness.app, "POST", PREDICT, [body], {}))

        first = post("slow")
        while not started.is_set():
            await asyncio.sleep(0.001)
        waiting = post("second")
        await asyncio.sleep(0)
        third = await post("third")
        health = await call(harness.app, "GET", "/health", [b""], {})
        go_on.set()
        return [await first, await waiting, third, health]

    first, second, third, health = asyncio.run(calls())
    assert (first.status, second.status, health.status) == (200, 200, 200)
    assert_problem(third, 429, "busy", helps=True)
    assert third.headers["retry-after"] == "1"


def test_health_says_what_is_loaded_and_loads_nothing() -> None:
    harness = SyncHarness()
    harness.other.is_loaded = False
    answer = harness.get("/health")
    there = {"version": "1.0.0", "loaded": True}
    assert answer.json == {
        "status": "ok",
        "version": "local",
        "models": {"echo": there, "other": there | {"loaded": False}},
    }
    assert harness.get("/models/other/health").json["models"] == {"other": there | {"loaded": False}}


@pytest.mark.parametrize("path", ["/models/nope/predict", "/models/nope/batch"])
def test_a_model_that_is_not_here(path: str) -> None:
    answer = SyncHarness().post(path, {"text": "a"})
    assert (answer.status, answer.json["type"]) == (404, "/problems/unknown-model")
    assert "echo, other" in answer.json["detail"]


def test_a_route_that_is_not_here() -> None:
    harness = SyncHarness()
    for answer in (harness.get("/nope"), harness.get(PREDICT), harness.get("/health", "POST")):
        assert (answer.status, answer.json["type"]) == (404, "/problems/unknown-route")
    assert harness.get("/models/nope/health").json["type"] == "/problems/unknown-model"


def test_a_defect_of_the_app_is_a_500_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = SyncHarness()

    def fail(*_: Any) -> None:
        raise NameError("secret")

    monkeypatch.setattr(harness.predictions, "predict", fail)
    answer = harness.post(PREDICT, {"text": "a"})
    assert_problem(answer, 500, "internal-error", helps=False)
    assert "secret" not in json.dumps(answer.json)
    assert "secret" in harness.log.events("unhandled_error")[0]["error"]


def test_each_call_is_logged_with_its_route() -> None:
    harness = SyncHarness()
    harness.post(PREDICT, {"text": "a"})
    harness.post(PREDICT, b"{")
    harness.get("/health")
    shown = [(line["route"], line["status"], line.get("model")) for line in harness.log.events("response_sent")]
    route = "POST /models/{model}/predict"
    assert shown == [(route, 200, "echo"), (route, 400, "echo"), ("GET /health", 200, None)]


def test_the_problems_beside_those_of_the_asynchronous_api() -> None:
    known = {problem.type for problem in PROBLEMS.values()}
    own = {problem.type: problem for problem in SYNC_PROBLEMS.values()}
    assert not known & own.keys()
    assert all(("Retry-After" in problem.headers) == (problem.status in (429, 503)) for problem in own.values())
