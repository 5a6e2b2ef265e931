"""A batch's way through the worker: claim, predict, finish, and everything that goes wrong in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from inference.request_table import Applied
from inference.requests import ErrorCode, Failure, Record, Status
from tests.events import golden
from tests.unit.fakes import (
    NOW,
    Clock,
    FakeQueue,
    FakeTable,
    Fault,
    Recorder,
    a_message,
    a_record,
    validate_text,
)
from worker.batch import LEASE_MARGIN_MS, WATCHDOG_MARGIN_MS, Invocation, RetryDelay, Worker
from worker.errors import InputError

REMAINING = 30_000
LEASE_SECONDS = (REMAINING + LEASE_MARGIN_MS) // 1000 + 1


class EchoModel:
    """Gives each text back. What `reactions` has for a text happens instead: it is raised, returned or called."""

    version = "1.0.0"
    batch_size = 10

    def __init__(self) -> None:
        self.reactions: dict[str, Any] = {}
        self.passes: list[list[str]] = []

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        texts = [value["text"] for value in inputs]
        self.passes.append(texts)
        return [self._one(value) for value in inputs]

    def _one(self, value: Any) -> Any:
        reaction = self.reactions.get(value["text"])
        if isinstance(reaction, InputError):
            return reaction
        if isinstance(reaction, BaseException):
            raise reaction
        if callable(reaction):
            reaction()
        return {"echo": value["text"], "threshold": value["threshold"]}


class Bench:
    """A worker on fakes, and the queue's side of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.queue = FakeQueue(self.clock)
        self.model = EchoModel()
        self.log = Recorder()
        self.remaining: Callable[[], int] = lambda: REMAINING
        self.invocations = 0
        self.worker = Worker(
            self.model, validate_text, self.table, self.queue, RetryDelay(2, 300), self.log, self.clock
        )

    def add(self, *texts: str, **changes: Any) -> list[str]:
        """Accept requests. Returns their ids."""
        ids = []
        for text in texts:
            record = a_record(f"{len(self.table.items):x}-{text}", **changes)
            self.table.put(record)
            self.queue.put(a_message(record, {"text": text}).to_body())
            ids.append(record.request_id)
        return ids

    def run(self, most: int = 10) -> list[str]:
        """One invocation, and what the mapping does after it. Returns the message ids that failed."""
        records = self.queue.receive(most)
        failed = self.process(records)
        self.queue.settle(records, failed)
        return failed

    def process(self, records: Sequence[Any]) -> list[str]:
        self.invocations += 1
        return self.worker.process(records, Invocation(f"i{self.invocations}", lambda: self.remaining()))

    def statuses(self) -> list[str]:
        return [str(item["status"]) for item in self.table.items.values()]

    def hidden_seconds(self) -> list[int]:
        """When each message on the queue comes back."""
        return [(held.visible_at - self.clock.now) // 1000 for held in self.queue.messages.values()]

    def error(self, request_id: str) -> Any:
        return json.loads(str(self.table.record(request_id).error))


@pytest.fixture
def bench() -> Bench:
    return Bench()


# All is well


def test_a_batch_is_one_pass_and_three_calls(bench: Bench) -> None:
    ids = bench.add(*"abcdefghij")
    assert bench.run() == []
    assert bench.statuses() == ["succeeded"] * 10
    assert bench.model.passes == [list("abcdefghij")]
    assert len(bench.table.calls) + len(bench.queue.calls) == 3
    assert bench.queue.messages == {}
    record = bench.table.record(ids[3])
    assert json.loads(str(record.result)) == {"echo": "d", "threshold": 0.5}
    assert (record.attempts, record.model_version, record.started_at, record.finished_at) == (1, "1.0.0", NOW, NOW)
    assert (record.invocation_id, record.lease_until, record.error) == ("i1", None, None)


def test_the_golden_event_of_ten() -> None:
    bench = Bench()
    records = golden("sqs_10")["Records"]
    for record in records:
        fields = json.loads(record["body"])
        del fields["input"]
        bench.table.put(a_record(**fields))
    assert bench.process(records) == []
    assert bench.statuses() == ["succeeded"] * 10


def test_a_lease_covers_the_invocation_and_a_margin(bench: Bench) -> None:
    (name,) = bench.add("a")
    seen: list[Record] = []
    bench.model.reactions["a"] = lambda: seen.append(bench.table.record(name))
    bench.run()
    assert (seen[0].status, seen[0].lease_until) == (Status.RUNNING, NOW + REMAINING + LEASE_MARGIN_MS)


def test_messages_come_back_when_the_lease_ends_should_the_worker_die(bench: Bench) -> None:
    bench.add("a", "b")
    bench.run()
    (first, *_) = bench.queue.shown
    assert set(first.values()) == {LEASE_SECONDS}
    assert len(first) == 2


def test_more_messages_than_the_models_batch_are_several_passes(bench: Bench) -> None:
    bench.model.batch_size = 4
    bench.add(*"abcdefghij")
    assert bench.run() == []
    assert bench.model.passes == [list("abcd"), list("efgh"), list("ij")]
    assert bench.statuses() == ["succeeded"] * 10


def test_what_is_logged(bench: Bench) -> None:
    ids = bench.add("a", "b")
    bench.run()
    finished = bench.log.events("request_finished")
    assert [line["request_id"] for line in finished] == ids
    assert all(line["status"] == "succeeded" and line["batch"] == 2 and line["age_ms"] == 0 for line in finished)
    (done,) = bench.log.events("batch_done")
    assert (done["messages"], done["succeeded"]) == (2, 2)


# One bad input


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), SystemExit(1)], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("position", [0, 4, 9])
def test_the_others_succeed_in_the_same_invocation(bench: Bench, position: int, error: BaseException) -> None:
    bad = "abcdefghij"[position]
    bench.model.reactions[bad] = error
    ids = bench.add(*"abcdefghij")
    assert bench.run() == [f"m{position + 1}"]
    expected = ["succeeded"] * 10
    expected[position] = "pending"
    assert bench.statuses() == expected
    assert bench.error(ids[position])["attempt"] == 1
    assert len(bench.model.passes) <= 9


@pytest.mark.parametrize("raised", [True, False], ids=["raised", "in_place"])
def test_an_input_error_fails_at_once_and_keeps_no_input(bench: Bench, raised: bool) -> None:
    def refuse() -> None:
        raise InputError("not English")

    bench.model.reactions["b"] = refuse if raised else InputError("not English")
    ids = bench.add("a", "b", "c")
    assert bench.run() == []
    assert bench.statuses() == ["succeeded", "failed", "succeeded"]
    assert bench.error(ids[1]) == {"code": "invalid_input", "message": "not English", "attempt": 1}
    assert bench.table.record(ids[1]).input is None


def test_an_input_that_violates_the_schema_never_reaches_the_model(bench: Bench) -> None:
    ids = bench.add("a", "", "c")
    assert bench.run() == []
    assert bench.model.passes == [["a", "c"]]
    assert bench.statuses() == ["succeeded", "failed", "succeeded"]
    assert bench.error(ids[1])["code"] == "invalid_input"
    assert "data.text" in bench.error(ids[1])["message"]


def test_a_batch_of_nothing_but_bad_inputs_needs_no_pass(bench: Bench) -> None:
    bench.add("", "")
    assert bench.run() == []
    assert bench.model.passes == []
    assert bench.statuses() == ["failed", "failed"]


# Retries


def test_a_retryable_error_comes_again_after_growing_delays_and_fails_on_the_last_attempt(bench: Bench) -> None:
    (name,) = bench.add("a")
    bench.model.reactions["a"] = ValueError("bad")
    delays = []
    for attempt in range(1, 5):
        assert bench.run() == ["m1"]
        assert bench.statuses() == ["pending"]
        assert bench.error(name) == {"code": "model_error", "message": "ValueError: bad", "attempt": attempt}
        (wait,) = bench.hidden_seconds()
        delays.append(wait)
        bench.clock.advance(seconds=wait)
    assert delays == [2, 4, 8, 16]
    assert bench.run() == []
    record = bench.table.record(name)
    assert (record.status, record.attempts) == (Status.FAILED, 5)
    assert bench.error(name)["attempt"] == 5
    assert json.loads(str(record.input)) == {"text": "a", "threshold": 0.5}
    assert bench.queue.messages == {}


def test_a_retry_that_succeeds_leaves_no_error(bench: Bench) -> None:
    (name,) = bench.add("a")
    bench.model.reactions["a"] = ValueError("bad")
    bench.run()
    bench.model.reactions.clear()
    bench.clock.advance(seconds=2)
    assert bench.run() == []
    record = bench.table.record(name)
    assert (record.status, record.attempts, record.error) == (Status.SUCCEEDED, 2, None)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (7, 128), (8, 256), (9, 300), (1_000, 300)])
def test_retry_delays(attempt: int, seconds: int) -> None:
    assert RetryDelay(2, 300).after(attempt) == seconds


def test_a_retry_without_a_pause() -> None:
    assert RetryDelay(0, 0).after(3) == 0


# Bodies and duplicates


@pytest.mark.parametrize("body", ["x", "{}", "[" * 200_000, json.dumps({"request_id": 1})])
def test_an_unreadable_body_goes_on_to_the_dead_letters_and_blocks_nobody(bench: Bench, body: str) -> None:
    bench.add("a")
    bench.queue.put(body)
    bench.add("b")
    assert bench.run() == ["m2"]
    assert bench.statuses() == ["succeeded", "succeeded"]
    assert bench.hidden_seconds() == [0]
    (line,) = bench.log.events("message_unreadable")
    assert (line["level"], line["body"]) == ("ERROR", body[:500])


def test_a_duplicate_in_the_same_batch_waits_and_is_then_dropped(bench: Bench) -> None:
    bench.add("a")
    (original,) = bench.queue.messages.values()
    bench.queue.put(original.body)
    assert bench.run() == ["m2"]
    assert bench.model.passes == [["a"]]
    assert bench.hidden_seconds() == [LEASE_SECONDS]
    bench.clock.advance(seconds=LEASE_SECONDS)
    assert bench.run() == []
    assert (bench.statuses(), bench.model.passes) == (["succeeded"], [["a"]])
    assert bench.queue.messages == {}


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_a_message_of_a_final_request_is_dropped(bench: Bench, status: Status) -> None:
    (name,) = bench.add("a", status=status)
    before = bench.table.record(name)
    assert bench.run() == []
    assert (bench.model.passes, bench.queue.messages) == ([], {})
    assert bench.table.record(name) == before


def test_a_message_without_a_record_is_dropped(bench: Bench) -> None:
    bench.add("a")
    bench.table.items.clear()
    assert bench.run() == []
    assert (bench.model.passes, bench.table.items) == ([], {})


def test_a_message_of_an_earlier_submit_with_the_same_key_is_dropped(bench: Bench) -> None:
    (name,) = bench.add("old")
    bench.table.put(a_record(name, submitted_at=NOW + 1))
    assert bench.run() == []
    assert (bench.model.passes, bench.statuses()) == ([], ["pending"])


# Leases


def test_a_duplicate_of_a_live_lease_goes_back_until_it_ends(bench: Bench) -> None:
    (name,) = bench.add("a", status=Status.RUNNING, attempts=1, lease_until=NOW + 7_500, invocation_id="other")
    before = bench.table.record(name)
    assert bench.run() == ["m1"]
    assert bench.hidden_seconds() == [8]
    assert bench.table.record(name) == before
    assert bench.model.passes == []


def test_an_expired_lease_is_taken_over_alone(bench: Bench) -> None:
    old = bench.add("old", status=Status.RUNNING, attempts=1, lease_until=NOW - 1, invocation_id="dead")
    new = bench.add("a", "b")
    assert bench.run() == []
    assert bench.model.passes == [["a", "b"], ["old"]]
    assert [bench.table.record(name).attempts for name in old + new] == [2, 1, 1]


def test_suspects_run_one_by_one_those_with_the_fewest_attempts_first(bench: Bench) -> None:
    for text, attempts in (("three", 3), ("one", 1), ("two", 2)):
        bench.add(text, status=Status.RUNNING, attempts=attempts, lease_until=NOW - 1)
    bench.add("fresh")
    assert bench.run() == []
    assert bench.model.passes == [["fresh"], ["one"], ["two"], ["three"]]


def test_what_has_to_run_alone_runs_alone(bench: Bench) -> None:
    bench.add("hung", attempts=1, alone=True)
    bench.add("a")
    assert bench.run() == []
    assert bench.model.passes == [["a"], ["hung"]]


def test_a_replayed_request_is_claimed_though_its_message_is_new(bench: Bench) -> None:
    (name,) = bench.add("a", attempts=5, attempt_limit=10)
    assert bench.run() == []
    assert bench.table.record(name).attempts == 6


def test_no_attempts_left_goes_back_at_once_until_sqs_gives_it_up(bench: Bench) -> None:
    (name,) = bench.add("a", status=Status.RUNNING, attempts=5, lease_until=NOW - 1)
    for _ in range(8):
        assert bench.run() == ["m1"]
        assert bench.hidden_seconds() == [0]
    assert bench.run() == []
    assert (len(bench.queue.dead), bench.queue.messages, bench.model.passes) == (1, {}, [])
    assert bench.table.record(name).attempts == 5


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING])
def test_past_its_deadline_it_expires_and_is_not_computed(bench: Bench, status: Status) -> None:
    (name,) = bench.add("a", status=status, expires_at=NOW, lease_until=NOW - 1, attempts=1)
    assert bench.run() == []
    assert (bench.statuses(), bench.model.passes, bench.queue.messages) == (["expired"], [], {})
    assert bench.table.record(name).finished_at == NOW


def test_an_attempt_that_lost_its_lease_writes_nothing_and_leaves_the_message(bench: Bench) -> None:
    (name,) = bench.add("a")

    def taken_over() -> None:
        bench.table.items[name] |= {"attempts": 2, "invocation_id": "other"}

    bench.model.reactions["a"] = taken_over
    assert bench.run() == ["m1"]
    assert bench.hidden_seconds() == [LEASE_SECONDS]
    record = bench.table.record(name)
    assert (record.status, record.result, record.attempts) == (Status.RUNNING, None, 2)


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.SUCCEEDED, Status.EXPIRED])
def test_a_request_that_became_final_meanwhile_keeps_its_outcome(bench: Bench, status: Status) -> None:
    (name,) = bench.add("a")
    bench.model.reactions["a"] = lambda: bench.table.items[name].update(status=status.value, result='"first"')
    assert bench.run() == []
    record = bench.table.record(name)
    assert (record.status, record.result) == (status, '"first"')
    assert bench.log.events("outcome_dropped")[0]["standing"] == status


# Time


def test_a_chunk_that_the_time_left_does_not_cover_is_handed_back(bench: Bench) -> None:
    bench.model.batch_size = 2
    bench.add(*"abcdef")
    bench.remaining = lambda: 1_999 if bench.model.passes else REMAINING
    assert bench.run() == ["m3", "m4", "m5", "m6"]
    assert bench.model.passes == [["a", "b"]]
    assert bench.statuses() == ["succeeded"] * 2 + ["pending"] * 4
    assert bench.hidden_seconds() == [0] * 4


def test_suspects_that_the_time_left_does_not_cover_are_handed_back(bench: Bench) -> None:
    bench.add("fresh")
    bench.add("old", status=Status.RUNNING, attempts=1, lease_until=NOW - 1)
    bench.model.reactions["fresh"] = lambda: setattr(bench, "remaining", lambda: 1_999)
    assert bench.run() == ["m2"]
    assert bench.model.passes == [["fresh"]]
    assert bench.table.record("1-old").attempts == 1


def test_the_first_chunk_always_runs(bench: Bench) -> None:
    bench.remaining = lambda: WATCHDOG_MARGIN_MS + 400
    bench.add("a")
    assert bench.run() == []
    assert bench.statuses() == ["succeeded"]


def test_a_chunk_that_found_nothing_to_do_is_not_the_first(bench: Bench) -> None:
    bench.model.batch_size = 1
    bench.add("done", status=Status.SUCCEEDED)
    bench.add("a")
    bench.remaining = lambda: WATCHDOG_MARGIN_MS + 400
    assert bench.run() == []
    assert bench.model.passes == [["a"]]


def test_a_hung_model_is_given_up_before_lambda_kills_it(bench: Bench) -> None:
    ids = bench.add("a", "hung")
    given_up = threading.Event()
    real = bench.queue.show_again

    def show_again(delays: dict[str, int]) -> Sequence[str]:
        missed = real(delays)
        if threading.current_thread() is not threading.main_thread():
            given_up.set()
        return missed

    bench.queue.show_again = show_again  # type: ignore[method-assign,assignment]
    at_the_end: list[list[Record]] = []

    def hang() -> None:
        assert given_up.wait(20)
        at_the_end.append([bench.table.record(name) for name in ids])

    bench.model.reactions["hung"] = hang
    bench.remaining = lambda: WATCHDOG_MARGIN_MS + 50
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
    bench.remaining = lambda: WATCHDOG_MARGIN_MS + 50
    assert bench.run() == []
    record = bench.table.record(name)
    assert (record.status, bench.error(name)["code"], record.attempts) == (Status.FAILED, "timeout", 5)
    assert json.loads(str(record.input)) == {"text": "hung", "threshold": 0.5}


def test_a_prediction_that_ends_in_time_is_not_given_up(bench: Bench) -> None:
    bench.add("a")
    bench.run()
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert all(timer.finished.is_set() for timer in timers)
    assert bench.log.events("prediction_timed_out") == []


# AWS fails


def _claim_lost(bench: Bench) -> None:
    bench.table.faults = [Fault("apply", done=True)]


@pytest.mark.parametrize("which", range(2))
def test_a_claim_that_the_table_does_not_take_leaves_the_message(bench: Bench, which: int) -> None:
    bench.add("a", "b")
    bench.table.faults = [Fault("apply", skip=which)]
    assert bench.run() == [f"m{which + 1}"]
    assert sorted(bench.statuses()) == ["pending", "succeeded"]
    assert bench.hidden_seconds() == [5]
    bench.clock.advance(seconds=5)
    assert bench.run() == []
    assert bench.statuses() == ["succeeded"] * 2


def test_a_claim_whose_answer_is_lost_is_made_good_when_its_lease_ends(bench: Bench) -> None:
    (name,) = bench.add("a")
    _claim_lost(bench)
    assert bench.run() == ["m1"]
    assert bench.statuses() == ["running"]
    for _ in range(3):  # returned while that lease lasts, then taken over
        bench.clock.advance(seconds=max(bench.hidden_seconds()))
        if not bench.run():
            break
    record = bench.table.record(name)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, 2)


def test_a_claim_that_was_made_by_our_own_first_try_is_ours(bench: Bench) -> None:
    """The client's retry meets what its first try had written; both happen inside one call."""
    (name,) = bench.add("a")
    real = bench.table.apply

    def twice(updates: Sequence[Any]) -> Any:
        bench.table.apply = real  # type: ignore[method-assign]
        real(updates)
        return real(updates)

    bench.table.apply = twice  # type: ignore[method-assign]
    assert bench.run() == []
    record = bench.table.record(name)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize("done", [False, True])
def test_a_finish_that_the_table_does_not_take_leaves_the_message(bench: Bench, done: bool) -> None:
    (name,) = bench.add("a")
    bench.table.faults = [Fault("apply", skip=1, done=done)]
    assert bench.run() == ["m1"]
    for _ in range(5):
        if not bench.queue.messages:
            break
        bench.clock.advance(seconds=max(bench.hidden_seconds()))
        bench.run()
    record = bench.table.record(name)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, 1 if done else 2)
    assert bench.queue.messages == {}


def test_one_finish_that_fails_hurts_no_other(bench: Bench) -> None:
    bench.add("a", "b", "c")
    bench.table.faults = [Fault("apply", skip=4)]
    assert bench.run() == ["m2"]
    assert bench.statuses() == ["succeeded", "running", "succeeded"]


@pytest.mark.parametrize("skip", [0, 1])
def test_a_queue_that_does_not_shorten_the_wait_delays_only(bench: Bench, skip: int) -> None:
    bench.add("a")
    bench.model.reactions["a"] = ValueError("bad")
    bench.queue.faults = [Fault("show_again", skip=skip)]
    assert bench.run() == ["m1"]
    assert bench.statuses() == ["pending"]
    assert bench.hidden_seconds() == ([2] if skip == 0 else [LEASE_SECONDS])


def test_an_expiry_that_the_table_does_not_take_is_left_to_the_sweeper(bench: Bench) -> None:
    (name,) = bench.add("a", expires_at=NOW)
    bench.table.faults = [Fault("apply", skip=1)]
    assert bench.run() == []
    assert bench.table.record(name).status_at(NOW) is Status.EXPIRED


class Killed(BaseException):
    """The worker's process ends here."""


@pytest.mark.parametrize("step", range(4))
def test_a_worker_that_is_killed_at_any_call_is_followed_by_another(bench: Bench, step: int) -> None:
    """Before the first call, the claim, the finish; and after the finish, before it returned."""
    ids = bench.add("a", "b")
    count = 0

    def kill(_: str) -> None:
        nonlocal count
        if count == [0, 1, 3, 5][step]:
            raise Killed
        count += 1

    bench.table.before = bench.queue.before = kill
    records = bench.queue.receive()
    with pytest.raises(Killed):
        bench.process(records)
    bench.table.before = bench.queue.before = lambda _: None
    for _ in range(5):
        if not bench.queue.messages:
            break
        bench.clock.advance(seconds=max(bench.hidden_seconds()))
        bench.run()
    finished = [bench.table.record(name) for name in ids]
    assert [record.status for record in finished] == [Status.SUCCEEDED] * 2
    assert [record.attempts for record in finished] == [[1, 1], [1, 1], [2, 2], [1, 1]][step]
    outcomes = [update for update, _, after in bench.table.log if after.status is Status.SUCCEEDED]
    assert len(outcomes) == 2


def test_a_failure_of_an_earlier_attempt_stays_visible_while_the_next_runs(bench: Bench) -> None:
    (name,) = bench.add("a")
    bench.model.reactions["a"] = ValueError("bad")
    bench.run()
    bench.clock.advance(seconds=2)
    seen: list[Record] = []
    bench.model.reactions["a"] = lambda: seen.append(bench.table.record(name))
    bench.run()
    assert seen[0].status is Status.RUNNING
    assert json.loads(str(seen[0].error))["attempt"] == 1


def test_a_cancelled_request_is_never_computed(bench: Bench) -> None:
    (name,) = bench.add("a")
    assert isinstance(bench.table.apply([bench.worker._moves.cancel(name)])[0], Applied)
    assert bench.run() == []
    assert bench.model.passes == []


def test_the_records_limit_of_attempts_is_what_counts_for_a_claim(bench: Bench) -> None:
    record = a_record(attempts=4, attempt_limit=5, error=Failure(ErrorCode.CRASHED, "x", 4).to_json())
    bench.table.put(record)
    bench.queue.put(replace(a_message(record, {"text": "a"}), attempt_limit=99).to_body())
    bench.model.reactions["a"] = ValueError("bad")
    bench.run()
    record = bench.table.record("a1")
    assert record.attempts == 5
