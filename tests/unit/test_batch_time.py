"""A batch against the clock: chunks without enough time are returned, and a model that hangs times out."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, Self

import pytest

from inference.requests import Record, Status
from tests.unit.fakes import NOW
from tests.unit.worker_harness import REMAINING, WorkerHarness
from worker.batch import TIMEOUT_MARGIN_MS
from worker.model.errors import NotLoadedError
from worker.timeout import Timeout


def test_a_chunk_that_the_time_left_does_not_cover_is_handed_back(harness: WorkerHarness) -> None:
    harness.model.batch_size = 2
    harness.add(*"abcdef")
    harness.remaining = lambda: 1_999 if harness.model.passes else REMAINING
    assert harness.run() == ["m3", "m4", "m5", "m6"]
    assert harness.model.passes == [["a", "b"]]
    assert harness.statuses() == ["succeeded"] * 2 + ["pending"] * 4
    assert harness.hidden_seconds() == [0] * 4


def test_what_runs_alone_is_handed_back_when_the_time_left_does_not_cover_it(harness: WorkerHarness) -> None:
    harness.add("fresh")
    harness.add("old", status=Status.RUNNING, attempts=1, lease_until=NOW - 1)
    harness.model.reactions["fresh"] = lambda: setattr(harness, "remaining", lambda: 1_999)
    assert harness.run() == ["m2"]
    assert harness.model.passes == [["fresh"]]
    assert harness.table.record("1-old").attempts == 1


def test_the_first_chunk_always_runs(harness: WorkerHarness) -> None:
    harness.remaining = lambda: TIMEOUT_MARGIN_MS + 400
    harness.add("a")
    assert harness.run() == []
    assert harness.statuses() == ["succeeded"]


def test_a_chunk_that_found_nothing_to_do_is_not_the_first(harness: WorkerHarness) -> None:
    harness.model.batch_size = 1
    harness.add("done", status=Status.SUCCEEDED)
    harness.add("a")
    harness.remaining = lambda: TIMEOUT_MARGIN_MS + 400
    assert harness.run() == []
    assert harness.model.passes == [["a"]]


def test_a_hung_model_is_given_up_before_lambda_kills_it(harness: WorkerHarness) -> None:
    ids = harness.add("a", "hung")
    given_up = threading.Event()
    real = harness.queue.set_visibility

    def set_visibility(delays: dict[str, int]) -> Sequence[str]:
        missed = real(delays)
        if threading.current_thread() is not threading.main_thread():
            given_up.set()
        return missed

    harness.queue.set_visibility = set_visibility  # type: ignore[method-assign,assignment]
    at_the_end: list[list[Record]] = []

    def hang() -> None:
        assert given_up.wait(20)
        at_the_end.append([harness.table.record(name) for name in ids])

    harness.model.reactions["hung"] = hang
    harness.remaining = lambda: TIMEOUT_MARGIN_MS + 50
    failed = harness.run()
    # While it still hung, both were back, with the reason, to be tried alone and soon.
    for record in at_the_end[0]:
        assert (record.status, record.run_alone, record.lease_until) == (Status.PENDING, True, None)
        assert json.loads(str(record.error))["code"] == "timeout"
    assert harness.queue.shown[1] == {"m1/1": 3, "m2/1": 3}
    # It came back after all: its result is rejected, and the messages are not deleted.
    assert failed == ["m1", "m2"]
    assert harness.statuses() == ["pending", "pending"]
    assert len(harness.log.events("prediction_timed_out")) == 2
    # The next time, each stands alone.
    harness.model.reactions.clear()
    harness.clock.advance(seconds=3)
    harness.remaining = lambda: REMAINING
    assert harness.run() == []
    assert harness.model.passes == [["a", "hung"], ["a"], ["hung"]]
    assert harness.statuses() == ["succeeded", "succeeded"]


def test_a_hung_model_on_the_last_attempt_fails_the_request(harness: WorkerHarness) -> None:
    (name,) = harness.add("hung", attempts=4, run_alone=True)
    failed = threading.Event()
    harness.table.after = lambda _: failed.set() if harness.table.record(name).status is Status.FAILED else None
    harness.model.reactions["hung"] = lambda: failed.wait(20)
    harness.remaining = lambda: TIMEOUT_MARGIN_MS + 50
    assert harness.run() == []
    record = harness.table.record(name)
    assert (record.status, harness.error(name)["code"], record.attempts) == (Status.FAILED, "timeout", 5)
    assert json.loads(str(record.input)) == {"text": "hung", "threshold": 0.5}


def test_a_prediction_that_ends_in_time_does_not_time_out(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Timeout] = []

    class Kept(Timeout):
        def __enter__(self) -> Self:
            made.append(self)
            return super().__enter__()

    monkeypatch.setattr("worker.prediction.Timeout", Kept)
    (name,) = harness.add("a")
    harness.run()
    before = harness.table.record(name)
    (timeout,) = made
    timeout.call()  # as by a timer that was late
    assert harness.log.events("prediction_timed_out") == []
    assert (before.status, harness.table.record(name)) == (Status.SUCCEEDED, before)


def test_a_load_that_hangs_is_told_to_the_requests_before_lambda_kills_it(harness: WorkerHarness) -> None:
    ids = harness.add("a", "b")
    given_up = threading.Event()
    errors: list[Any] = []

    def hang() -> None:
        harness.table.after = lambda _: given_up.set() if harness.statuses() == ["pending"] * 2 else None
        assert given_up.wait(20)
        errors.extend(harness.error(name) for name in ids)

    harness.model.load = hang  # type: ignore[method-assign]
    harness.remaining = lambda: TIMEOUT_MARGIN_MS + 50
    harness.run()
    assert [(error["code"], error["attempt"]) for error in errors] == [("model_not_loaded", 1)] * 2
    assert "Raise timeout_seconds" in errors[0]["message"]
    assert len(harness.log.events("load_timed_out")) == 2
    assert not any(harness.table.record(name).run_alone for name in ids), "a load is no input's doing"


def test_the_time_of_a_load_does_not_count_as_that_of_a_pass(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watch:
        def __init__(self) -> None:
            self._start = harness.clock.now

        @property
        def ms(self) -> float:
            return harness.clock.now - self._start

    monkeypatch.setattr("worker.prediction.Stopwatch", Watch)
    harness.add("a")
    harness.model.load = lambda: harness.clock.advance(seconds=8)  # type: ignore[method-assign]
    harness.model.reactions["a"] = lambda: harness.clock.advance(ms=70)
    assert harness.run() == []
    assert harness.predictions["echo"].expected_ms == 70


def test_a_model_that_does_not_load_tells_every_request_why(harness: WorkerHarness) -> None:
    def fail(*_: Any) -> Any:
        raise NotLoadedError("The model echo could not be loaded: no weights")

    ids = harness.add("a", "", "c")
    harness.model.load = harness.model.predict = fail  # type: ignore[method-assign,assignment]
    assert harness.run() == ["m1", "m3"]
    assert harness.statuses() == ["pending", "failed", "pending"]
    assert [harness.error(name)["code"] for name in ids] == ["model_not_loaded", "invalid_input", "model_not_loaded"]
    assert harness.error(ids[0])["message"] == "The model echo could not be loaded: no weights"
