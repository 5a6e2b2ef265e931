"""Which messages of a batch are claimed: bodies, duplicates, leases, and what a lease still lets a worker write."""

from __future__ import annotations

import json

import pytest

from inference import transitions
from inference.requests import FINAL, Status
from inference.store.request_table import Applied
from tests.unit.fakes import NOW, Killed
from tests.unit.samples import a_record
from tests.unit.worker_harness import LEASE_SECONDS, WorkerHarness

# Bodies and duplicates


@pytest.mark.parametrize("body", ["x", "{}", "[" * 200_000, json.dumps({"request_id": 1})])
def test_an_unreadable_body_goes_on_to_the_dead_letters_and_blocks_nobody(harness: WorkerHarness, body: str) -> None:
    harness.add("a")
    harness.queue.put(body)
    harness.add("b")
    assert harness.run() == ["m2"]
    assert harness.statuses() == ["succeeded", "succeeded"]
    assert harness.hidden_seconds() == [0]
    (line,) = harness.log.events("message_unreadable")
    assert (line["level"], line["body"]) == ("ERROR", body[:500])


def test_a_duplicate_in_the_same_batch_waits_and_is_then_dropped(harness: WorkerHarness) -> None:
    harness.add("a")
    (original,) = harness.queue.messages.values()
    harness.queue.put(original.body)
    assert harness.run() == ["m2"]
    assert harness.model.passes == [["a"]]
    assert harness.hidden_seconds() == [LEASE_SECONDS]
    harness.clock.advance(seconds=LEASE_SECONDS)
    assert harness.run() == []
    assert (harness.statuses(), harness.model.passes) == (["succeeded"], [["a"]])
    assert harness.queue.messages == {}


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_message_of_a_final_request_is_dropped(harness: WorkerHarness, status: Status) -> None:
    (name,) = harness.add("a", status=status)
    before = harness.table.record(name)
    assert harness.run() == []
    assert (harness.model.passes, harness.queue.messages) == ([], {})
    assert harness.table.record(name) == before


def test_a_message_without_a_record_is_dropped(harness: WorkerHarness) -> None:
    harness.add("a")
    harness.table.items.clear()
    assert harness.run() == []
    assert (harness.model.passes, harness.table.items) == ([], {})


def test_a_message_of_an_earlier_submit_with_the_same_key_is_dropped(harness: WorkerHarness) -> None:
    (name,) = harness.add("old")
    harness.table.put(a_record(name, submitted_at=NOW + 1))
    assert harness.run() == []
    assert (harness.model.passes, harness.statuses()) == ([], ["pending"])


def test_a_cancelled_request_is_never_computed(harness: WorkerHarness) -> None:
    (name,) = harness.add("a")
    assert isinstance(harness.table.apply([transitions.cancel(name, NOW)])[0], Applied)
    assert harness.run() == []
    assert harness.model.passes == []


# What runs alone


def _lease_over(harness: WorkerHarness, *texts: str) -> list[str]:
    """Requests whose worker was killed in the first attempt."""
    return harness.add(*texts, status=Status.RUNNING, attempts=1, lease_until=NOW - 1)


def test_what_kills_again_keeps_those_behind_it_waiting_for_seconds_only(harness: WorkerHarness) -> None:
    _lease_over(harness, *"abcd")

    def kill() -> None:
        raise Killed

    harness.model.reactions["c"] = kill
    with pytest.raises(Killed):
        harness.process(harness.queue.receive())
    done_a, done_b, killer, behind = harness.hidden_seconds()
    assert (done_a, done_b, killer) == (LEASE_SECONDS, LEASE_SECONDS, LEASE_SECONDS)
    assert 2 < behind < LEASE_SECONDS / 2
    # It comes back before the killer's lease ends, and is not one of its attempts the poorer.
    harness.clock.advance(seconds=behind)
    harness.run()
    assert harness.statuses() == ["succeeded", "succeeded", "running", "succeeded"]
    assert harness.table.record("3-d").attempts == 2


def test_those_whose_passes_take_long_stay_hidden_until_the_lease_ends(harness: WorkerHarness) -> None:
    _lease_over(harness, *"abc")
    harness.predictions["echo"]._slowest_ms = 12_000
    assert harness.run() == []
    assert harness.queue.shown == [dict.fromkeys(["m1/1", "m2/1", "m3/1"], LEASE_SECONDS), {}]


# Leases


def test_a_duplicate_of_a_live_lease_goes_back_until_it_ends(harness: WorkerHarness) -> None:
    (name,) = harness.add("a", status=Status.RUNNING, attempts=1, lease_until=NOW + 7_500, invocation_id="other")
    before = harness.table.record(name)
    assert harness.run() == ["m1"]
    assert harness.hidden_seconds() == [8]
    assert harness.table.record(name) == before
    assert harness.model.passes == []


def test_an_expired_lease_is_taken_over_alone(harness: WorkerHarness) -> None:
    old = harness.add("old", status=Status.RUNNING, attempts=1, lease_until=NOW - 1, invocation_id="dead")
    new = harness.add("a", "b")
    assert harness.run() == []
    assert harness.model.passes == [["a", "b"], ["old"]]
    assert [harness.table.record(name).attempts for name in old + new] == [2, 1, 1]


def test_what_runs_alone_goes_one_by_one_the_fewest_attempts_first(harness: WorkerHarness) -> None:
    for text, attempts in (("three", 3), ("one", 1), ("two", 2)):
        harness.add(text, status=Status.RUNNING, attempts=attempts, lease_until=NOW - 1)
    harness.add("fresh")
    assert harness.run() == []
    assert harness.model.passes == [["fresh"], ["one"], ["two"], ["three"]]


def test_what_has_to_run_alone_runs_alone(harness: WorkerHarness) -> None:
    harness.add("hung", attempts=1, run_alone=True)
    harness.add("a")
    assert harness.run() == []
    assert harness.model.passes == [["a"], ["hung"]]


def test_a_replayed_request_is_claimed_though_its_message_is_new(harness: WorkerHarness) -> None:
    (name,) = harness.add("a", attempts=5, attempt_limit=10)
    assert harness.run() == []
    assert harness.table.record(name).attempts == 6


def test_no_attempts_left_goes_back_at_once_until_sqs_gives_it_up(harness: WorkerHarness) -> None:
    (name,) = harness.add("a", status=Status.RUNNING, attempts=5, lease_until=NOW - 1)
    for _ in range(8):
        assert harness.run() == ["m1"]
        assert harness.hidden_seconds() == [0]
    assert harness.run() == []
    assert (len(harness.queue.dead_lettered), harness.queue.messages, harness.model.passes) == (1, {}, [])
    assert harness.table.record(name).attempts == 5


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING])
def test_past_its_deadline_it_expires_and_is_not_computed(harness: WorkerHarness, status: Status) -> None:
    (name,) = harness.add("a", status=status, expires_at=NOW, lease_until=NOW - 1, attempts=1)
    assert harness.run() == []
    assert (harness.statuses(), harness.model.passes, harness.queue.messages) == (["expired"], [], {})
    assert harness.table.record(name).finished_at == NOW


def test_an_attempt_that_lost_its_lease_writes_nothing_and_leaves_the_message(harness: WorkerHarness) -> None:
    (name,) = harness.add("a")

    def taken_over() -> None:
        harness.table.items[name] |= {"attempts": 2, "invocation_id": "other"}

    harness.model.reactions["a"] = taken_over
    assert harness.run() == ["m1"]
    assert harness.hidden_seconds() == [LEASE_SECONDS]
    record = harness.table.record(name)
    assert (record.status, record.result, record.attempts) == (Status.RUNNING, None, 2)


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.SUCCEEDED, Status.EXPIRED])
def test_a_request_that_became_final_meanwhile_keeps_its_outcome(harness: WorkerHarness, status: Status) -> None:
    (name,) = harness.add("a")
    harness.model.reactions["a"] = lambda: harness.table.items[name].update(status=status.value, result='"first"')
    assert harness.run() == []
    record = harness.table.record(name)
    assert (record.status, record.result) == (status, '"first"')
    assert harness.log.events("outcome_dropped")[0]["current_status"] == status
