"""AWS fails under a batch, or its worker is killed, at each call in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inference.requests import Status
from tests.unit.fakes import NOW, Fault, Killed
from tests.unit.worker_harness import LEASE_SECONDS, Bench


@pytest.fixture
def bench() -> Bench:
    """On the fake alone: a fault is one of its steps, of which it makes one for each update."""
    return Bench()


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
    bench.queue.faults = [Fault("set_visibility", skip=skip)]
    assert bench.run() == ["m1"]
    assert bench.statuses() == ["pending"]
    assert bench.hidden_seconds() == ([2] if skip == 0 else [LEASE_SECONDS])


def test_an_expiry_that_the_table_does_not_take_is_left_to_the_sweeper(bench: Bench) -> None:
    (name,) = bench.add("a", expires_at=NOW)
    bench.table.faults = [Fault("apply", skip=1)]
    assert bench.run() == []
    assert bench.table.record(name).status_at(NOW) is Status.EXPIRED


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
