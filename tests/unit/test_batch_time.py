"""A batch against the clock: chunks that no longer fit are handed back, and a hung model is given up in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, Self

import pytest

from inference.requests import Record, Status
from tests.unit.fakes import NOW
from tests.unit.worker_harness import REMAINING, Bench
from worker.batch import TIMEOUT_MARGIN_MS
from worker.errors import NotLoadedError
from worker.timeout import Timeout


def test_a_chunk_that_the_time_left_does_not_cover_is_handed_back(bench: Bench) -> None:
    bench.model.batch_size = 2
    bench.add(*"abcdef")
    bench.remaining = lambda: 1_999 if bench.model.passes else REMAINING
    assert bench.run() == ["m3", "m4", "m5", "m6"]
    assert bench.model.passes == [["a", "b"]]
    assert bench.statuses() == ["succeeded"] * 2 + ["pending"] * 4
    assert bench.hidden_seconds() == [0] * 4


def test_what_runs_alone_is_handed_back_when_the_time_left_does_not_cover_it(bench: Bench) -> None:
    bench.add("fresh")
    bench.add("old", status=Status.RUNNING, attempts=1, lease_until=NOW - 1)
    bench.model.reactions["fresh"] = lambda: setattr(bench, "remaining", lambda: 1_999)
    assert bench.run() == ["m2"]
    assert bench.model.passes == [["fresh"]]
    assert bench.table.record("1-old").attempts == 1


def test_the_first_chunk_always_runs(bench: Bench) -> None:
    bench.remaining = lambda: TIMEOUT_MARGIN_MS + 400
    bench.add("a")
    assert bench.run() == []
    assert bench.statuses() == ["succeeded"]


def test_a_chunk_that_found_nothing_to_do_is_not_the_first(bench: Bench) -> None:
    bench.model.batch_size = 1
    bench.add("done", status=Status.SUCCEEDED)
    bench.add("a")
    bench.remaining = lambda: TIMEOUT_MARGIN_MS + 400
    assert bench.run() == []
    assert bench.model.passes == [["a"]]


def test_a_hung_model_is_given_up_before_lambda_kills_it(bench: Bench) -> None:
    ids = bench.add("a", "hung")
    given_up = threading.Event()
    real = bench.queue.set_visibility

    def set_visibility(delays: dict[str, int]) -> Sequence[str]:
        missed = real(delays)
        if threading.current_thread() is not threading.main_thread():
            given_up.set()
        return missed

    bench.queue.set_visibility = set_visibility  # type: ignore[method-assign,assignment]
    at_the_end: list[list[Record]] = []

    def hang() -> None:
        assert given_up.wait(20)
        at_the_end.append([bench.table.record(name) for name in ids])

    bench.model.reactions["hung"] = hang
    bench.remaining = lambda: TIMEOUT_MARGIN_MS + 50
    failed = bench.run()
    # While it still hung, both were back, with the reason, to be tried alone and soon.
    for record in at_the_end[0]:
        assert (record.status, record.alone, record.lease_until) == (Status.PENDING, True, None)
        assert json.loads(str(record.error))["code"] == "timeout"
    assert bench.queue.shown[1] == {"m1/1": 3, "m2/1": 3}
    # It came back after all: its result is refused, and the messages are not deleted.
    assert failed == ["m1", "m2"]
    assert bench.statuses() == ["pending", "pending"]
    assert len(bench.log.events("prediction_timed_out")) == 2
    # The next time, each stands alone.
    bench.model.reactions.clear()
    bench.clock.advance(seconds=3)
    bench.remaining = lambda: REMAINING
    assert bench.run() == []
    assert bench.model.passes == [["a", "hung"], ["a"], ["hung"]]
    assert bench.statuses() == ["succeeded", "succeeded"]


def test_a_hung_model_on_the_last_attempt_fails_the_request(bench: Bench) -> None:
    (name,) = bench.add("hung", attempts=4, alone=True)
    failed = threading.Event()
    bench.table.after = lambda _: failed.set() if bench.table.record(name).status is Status.FAILED else None
    bench.model.reactions["hung"] = lambda: failed.wait(20)
    bench.remaining = lambda: TIMEOUT_MARGIN_MS + 50
    assert bench.run() == []
    record = bench.table.record(name)
    assert (record.status, bench.error(name)["code"], record.attempts) == (Status.FAILED, "timeout", 5)
    assert json.loads(str(record.input)) == {"text": "hung", "threshold": 0.5}


def test_a_prediction_that_ends_in_time_does_not_time_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Timeout] = []

    class Kept(Timeout):
        def __enter__(self) -> Self:
            made.append(self)
            return super().__enter__()

    monkeypatch.setattr("worker.prediction.Timeout", Kept)
    (name,) = bench.add("a")
    bench.run()
    before = bench.table.record(name)
    (timeout,) = made
    timeout.call()  # as by a timer that was late
    assert bench.log.events("prediction_timed_out") == []
    assert (before.status, bench.table.record(name)) == (Status.SUCCEEDED, before)


def test_a_load_that_hangs_is_told_to_the_requests_before_lambda_kills_it(bench: Bench) -> None:
    ids = bench.add("a", "b")
    given_up = threading.Event()
    errors: list[Any] = []

    def hang() -> None:
        bench.table.after = lambda _: given_up.set() if bench.statuses() == ["pending"] * 2 else None
        assert given_up.wait(20)
        errors.extend(bench.error(name) for name in ids)

    bench.model.load = hang  # type: ignore[method-assign]
    bench.remaining = lambda: TIMEOUT_MARGIN_MS + 50
    bench.run()
    assert [(error["code"], error["attempt"]) for error in errors] == [("model_not_loaded", 1)] * 2
    assert "Raise timeout_seconds" in errors[0]["message"]
    assert len(bench.log.events("load_timed_out")) == 2
    assert not any(bench.table.record(name).alone for name in ids), "a load is no input's doing"


def test_the_time_of_a_load_does_not_count_as_that_of_a_pass(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watch:
        def __init__(self) -> None:
            self._start = bench.clock.now

        @property
        def ms(self) -> float:
            return bench.clock.now - self._start

    monkeypatch.setattr("worker.prediction.Stopwatch", Watch)
    bench.add("a")
    bench.model.load = lambda: bench.clock.advance(seconds=8)  # type: ignore[method-assign]
    bench.model.reactions["a"] = lambda: bench.clock.advance(ms=70)
    assert bench.run() == []
    assert bench.worker._prediction.slowest_ms == 70


def test_a_model_that_does_not_load_tells_every_request_why(bench: Bench) -> None:
    def fail(*_: Any) -> Any:
        raise NotLoadedError("Model echo does not load: no weights")

    ids = bench.add("a", "", "c")
    bench.model.load = bench.model.predict = fail  # type: ignore[method-assign,assignment]
    assert bench.run() == ["m1", "m3"]
    assert bench.statuses() == ["pending", "failed", "pending"]
    assert [bench.error(name)["code"] for name in ids] == ["model_not_loaded", "invalid_input", "model_not_loaded"]
    assert bench.error(ids[0])["message"] == "Model echo does not load: no weights"
