"""AWS fails under a batch, or its worker is killed, at each call in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inference.requests import Status
from tests.unit.fakes import NOW, Fault, Killed
from tests.unit.worker_harness import LEASE_SECONDS, WorkerHarness


@pytest.fixture
def harness() -> WorkerHarness:
    """On the fake alone: a fault is one of its steps, of which it makes one for each update."""
    return WorkerHarness()


def _claim_lost(harness: WorkerHarness) -> None:
    harness.table.faults = [Fault("apply", done=True)]


@pytest.mark.parametrize("which", range(2))
def test_a_claim_that_the_table_does_not_take_leaves_the_message(harness: WorkerHarness, which: int) -> None:
    harness.add("a", "b")
    harness.table.faults = [Fault("apply", skip=which)]
    assert harness.run() == [f"m{which + 1}"]
    assert sorted(harness.statuses()) == ["pending", "succeeded"]
    assert harness.hidden_seconds() == [5]
    harness.clock.advance(seconds=5)
    assert harness.run() == []
    assert harness.statuses() == ["succeeded"] * 2


def test_a_claim_whose_answer_is_lost_is_made_good_when_its_lease_ends(harness: WorkerHarness) -> None:
    (name,) = harness.add("a")
    _claim_lost(harness)
    assert harness.run() == ["m1"]
    assert harness.statuses() == ["running"]
    for _ in range(3):  # returned while that lease lasts, then taken over
        harness.clock.advance(seconds=max(harness.hidden_seconds()))
        if not harness.run():
            break
    record = harness.table.record(name)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, 2)


def test_a_claim_that_was_made_by_our_own_first_try_is_ours(harness: WorkerHarness) -> None:
    """The client's retry meets what its first try had written; both happen inside one call."""
    (name,) = harness.add("a")
    real = harness.table.apply

    def twice(updates: Sequence[Any]) -> Any:
        harness.table.apply = real  # type: ignore[method-assign]
        real(updates)
        return real(updates)

    harness.table.apply = twice  # type: ignore[method-assign]
    assert harness.run() == []
    record = harness.table.record(name)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize("done", [False, True])
def test_a_finish_that_the_table_does_not_take_leaves_the_message(harness: WorkerHarness, done: bool) -> None:
    (name,) = harness.add("a")
    harness.table.faults = [Fault("apply", skip=1, done=done)]
    assert harness.run() == ["m1"]
    for _ in range(5):
        if not harness.queue.messages:
            break
        harness.clock.advance(seconds=max(harness.hidden_seconds()))
        harness.run()
    record = harness.table.record(name)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, 1 if done else 2)
    assert harness.queue.messages == {}


def test_one_finish_that_fails_hurts_no_other(harness: WorkerHarness) -> None:
    harness.add("a", "b", "c")
    harness.table.faults = [Fault("apply", skip=4)]
    assert harness.run() == ["m2"]
    assert harness.statuses() == ["succeeded", "running", "succeeded"]


@pytest.mark.parametrize("skip", [0, 1])
def test_a_queue_that_does_not_shorten_the_wait_delays_only(harness: WorkerHarness, skip: int) -> None:
    harness.add("a")
    harness.model.reactions["a"] = ValueError("bad")
    harness.queue.faults = [Fault("set_visibility", skip=skip)]
    assert harness.run() == ["m1"]
    assert harness.statuses() == ["pending"]
    assert harness.hidden_seconds() == ([2] if skip == 0 else [LEASE_SECONDS])


def test_an_expiry_that_the_table_does_not_take_is_left_to_the_sweeper(harness: WorkerHarness) -> None:
    (name,) = harness.add("a", expires_at=NOW)
    harness.table.faults = [Fault("apply", skip=1)]
    assert harness.run() == []
    assert harness.table.record(name).status_at(NOW) is Status.EXPIRED


@pytest.mark.parametrize("step", range(4))
def test_a_worker_that_is_killed_at_any_call_is_followed_by_another(harness: WorkerHarness, step: int) -> None:
    """Before the first call, the claim, the finish; and after the finish, before it returned."""
    ids = harness.add("a", "b")
    count = 0

    def kill(_: str) -> None:
        nonlocal count
        if count == [0, 1, 3, 5][step]:
            raise Killed
        count += 1

    harness.table.before = harness.queue.before = kill
    records = harness.queue.receive()
    with pytest.raises(Killed):
        harness.process(records)
    harness.table.before = harness.queue.before = lambda _: None
    for _ in range(5):
        if not harness.queue.messages:
            break
        harness.clock.advance(seconds=max(harness.hidden_seconds()))
        harness.run()
    finished = [harness.table.record(name) for name in ids]
    assert [record.status for record in finished] == [Status.SUCCEEDED] * 2
    assert [record.attempts for record in finished] == [[1, 1], [1, 1], [2, 2], [1, 1]][step]
    outcomes = [update for update, _, after in harness.table.log if after.status is Status.SUCCEEDED]
    assert len(outcomes) == 2
