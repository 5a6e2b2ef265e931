"""Which messages of a batch are claimed: bodies, duplicates, leases, and what a lease still lets a worker write."""

from __future__ import annotations

import json

import pytest

from inference import transitions
from inference.request_table import Applied
from inference.requests import Status
from tests.unit.fakes import NOW, Killed
from tests.unit.samples import a_record
from tests.unit.worker_harness import LEASE_SECONDS, Bench

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


def test_a_cancelled_request_is_never_computed(bench: Bench) -> None:
    (name,) = bench.add("a")
    assert isinstance(bench.table.apply([transitions.cancel(name, NOW)])[0], Applied)
    assert bench.run() == []
    assert bench.model.passes == []


# What runs alone


def _lease_over(bench: Bench, *texts: str) -> list[str]:
    """Requests whose worker was killed in the first attempt."""
    return bench.add(*texts, status=Status.RUNNING, attempts=1, lease_until=NOW - 1)


def test_what_kills_again_keeps_those_behind_it_waiting_for_seconds_only(bench: Bench) -> None:
    _lease_over(bench, *"abcd")

    def kill() -> None:
        raise Killed

    bench.model.reactions["c"] = kill
    with pytest.raises(Killed):
        bench.process(bench.queue.receive())
    done_a, done_b, killer, behind = bench.hidden_seconds()
    assert (done_a, done_b, killer) == (LEASE_SECONDS, LEASE_SECONDS, LEASE_SECONDS)
    assert 2 < behind < LEASE_SECONDS / 2
    # It comes back before the killer's lease ends, and is not one of its attempts the poorer.
    bench.clock.advance(seconds=behind)
    bench.run()
    assert bench.statuses() == ["succeeded", "succeeded", "running", "succeeded"]
    assert bench.table.record("3-d").attempts == 2


def test_those_whose_passes_take_long_stay_hidden_until_the_lease_ends(bench: Bench) -> None:
    _lease_over(bench, *"abc")
    bench.worker._prediction.slowest_ms = 12_000
    assert bench.run() == []
    assert bench.queue.shown == [dict.fromkeys(["m1/1", "m2/1", "m3/1"], LEASE_SECONDS), {}]


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


def test_what_runs_alone_goes_one_by_one_the_fewest_attempts_first(bench: Bench) -> None:
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
