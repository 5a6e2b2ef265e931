"""What may succeed later is tried again: after which delay, how often, and what a client sees meanwhile."""

from __future__ import annotations

import json

import pytest

from inference.requests import ErrorCode, Failure, Record, Status
from tests.unit.samples import a_message, a_record
from tests.unit.worker_harness import WorkerHarness
from worker.invocation import RetryDelay


def test_a_retryable_error_comes_again_after_growing_delays_and_fails_on_the_last_attempt(
    harness: WorkerHarness,
) -> None:
    (name,) = harness.add("a")
    harness.model.reactions["a"] = ValueError("bad")
    delays = []
    for attempt in range(1, 5):
        assert harness.run() == ["m1"]
        assert harness.statuses() == ["pending"]
        assert harness.error(name) == {"code": "model_error", "message": "ValueError: bad", "attempt": attempt}
        (wait,) = harness.hidden_seconds()
        delays.append(wait)
        harness.clock.advance(seconds=wait)
    assert delays == [2, 4, 8, 16]
    assert harness.run() == []
    record = harness.table.record(name)
    assert (record.status, record.attempts) == (Status.FAILED, 5)
    assert harness.error(name)["attempt"] == 5
    assert json.loads(str(record.input)) == {"text": "a", "threshold": 0.5}
    assert harness.queue.messages == {}


def test_a_retry_that_succeeds_leaves_no_error(harness: WorkerHarness) -> None:
    (name,) = harness.add("a")
    harness.model.reactions["a"] = ValueError("bad")
    harness.run()
    harness.model.reactions.clear()
    harness.clock.advance(seconds=2)
    assert harness.run() == []
    record = harness.table.record(name)
    assert (record.status, record.attempts, record.error) == (Status.SUCCEEDED, 2, None)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (7, 128), (8, 256), (9, 300), (1_000, 300)])
def test_retry_delays(attempt: int, seconds: int) -> None:
    assert RetryDelay(2, 300).after(attempt) == seconds


def test_a_retry_without_a_pause() -> None:
    assert RetryDelay(0, 0).after(3) == 0


def test_a_failure_of_an_earlier_attempt_stays_visible_while_the_next_runs(harness: WorkerHarness) -> None:
    (name,) = harness.add("a")
    harness.model.reactions["a"] = ValueError("bad")
    harness.run()
    harness.clock.advance(seconds=2)
    seen: list[Record] = []
    harness.model.reactions["a"] = lambda: seen.append(harness.table.record(name))
    harness.run()
    assert seen[0].status is Status.RUNNING
    assert json.loads(str(seen[0].error))["attempt"] == 1


def test_the_records_limit_of_attempts_is_what_counts_for_a_claim(harness: WorkerHarness) -> None:
    record = a_record(attempts=4, attempt_limit=5, error=Failure(ErrorCode.CRASHED, "x", 4).to_json())
    harness.table.put(record)
    harness.queue.put(a_message(record, {"text": "a"})._replace(attempt_limit=99).to_body())
    harness.model.reactions["a"] = ValueError("bad")
    harness.run()
    record = harness.table.record("a1")
    assert record.attempts == 5


def test_an_error_that_the_manifest_calls_permanent_fails_its_request_at_once(harness: WorkerHarness) -> None:
    bad, good = harness.add("bad", "good")
    harness.model.reactions["bad"] = UnicodeError("no text")
    harness.model.permanent_errors = ("ValueError",)
    assert harness.run() == []
    assert harness.statuses() == ["failed", "succeeded"]
    assert harness.error(bad) == {"code": "model_error", "message": "UnicodeError: no text", "attempt": 1}
    assert harness.table.record(bad).input is not None  # it can be replayed once the model is fixed
    assert harness.table.record(good).attempts == 1
