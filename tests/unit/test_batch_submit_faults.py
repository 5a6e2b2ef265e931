"""A batch when a process is killed at any step of its way: no accepted item is lost, none is stuck, none runs twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from inference.batches.record import BatchRecord
from inference.batches.service import Batches
from inference.errors import Unavailable
from inference.requests import OPEN, Status
from inference.service import Limits
from inference.store.payloads import Payloads
from inference.sweep import SETTLE_MS, Sweeper
from tests.unit.api_harness import MAX_ITEMS, ME
from tests.unit.fake_batch_table import FakeBatchTable
from tests.unit.fake_queue import FakeBatchQueue
from tests.unit.fakes import Fault, Killed, Recorder
from tests.unit.samples import DEADLINE, RETENTION, a_catalog
from tests.unit.test_payload_faults import Step, kill
from tests.unit.worker_harness import WorkerHarness

TEXTS = ("a", "b" * 260_000, "c")
GRACE = 900_000

SUBMIT = ["create_batch", *["create_many"] * 3, "put", *["send_many"] * 3, "apply_batch"]
"""The effects of a keyed submit of these."""

CANCEL = ["get_batch", "get_many", "apply_batch", *["apply"] * 3]

ENDS = ["apply", "get", "apply"]
"""Of a worker: claim, read the large input, finish."""


class Both:
    """An api function, a worker and a sweeper with one table, one bucket and one queue."""

    def __init__(self) -> None:
        self.worker = WorkerHarness()
        self.clock = self.worker.clock
        self.batch_table = FakeBatchTable()
        limits = Limits(attempts=5, deadline=DEADLINE, retention=RETENTION)
        self.batches = Batches(
            self.batch_table,  # type: ignore[arg-type]
            self.worker.table,  # type: ignore[arg-type]
            lambda _: self.worker.queue,  # type: ignore[arg-type, return-value]
            a_catalog(),
            limits,
            Payloads(self.worker.bucket, link_seconds=900, max_upload_bytes=10**9),
            FakeBatchQueue(self.clock),  # type: ignore[arg-type]
            MAX_ITEMS,
        )
        self.sweeper = Sweeper(
            self.worker.table,  # type: ignore[arg-type]
            ("echo", "other"),
            lambda _: (self.worker.queue,),  # type: ignore[arg-type, return-value]
            GRACE,
            Recorder(),
        )

    def submit(self, key: str | None = None) -> BatchRecord:
        return self.batches.submit(None, [{"text": text} for text in TEXTS], ME, self.clock(), key)

    def when(self, action: Callable[[str], object], after: bool = False) -> None:
        for target in (self.batch_table, self.worker.table, self.worker.bucket, self.worker.queue):
            setattr(target, "after" if after else "before", action)

    def work(self) -> None:
        """All that the worker and the sweeper do, until there is nothing left."""
        for _ in range(4):
            for _ in range(4):
                self.worker.run()
            self.clock.advance(ms=GRACE + SETTLE_MS + 1)
            self.sweeper.sweep(self.clock, lambda: True)

    def computed(self) -> list[str]:
        return sorted(text for texts in self.worker.model.passes for text in texts)

    def counts(self, batch: BatchRecord) -> dict[str, int]:
        shown = self.batches.show(self.batches.get(batch.batch_id, ME, self.clock()), self.clock())
        assert shown.finished
        return {status: count for status, count in shown.tally.counts.items() if count}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(SUBMIT)), ids=lambda number: f"{number}_{SUBMIT[number]}")
class TestAKilledSubmit:
    def test_its_repeat_completes_it_and_each_item_runs_once(self, number: int, after: bool) -> None:
        both = Both()
        step = Step(number, kill)
        both.when(step, after)
        with suppress(Killed):
            both.submit("k")
        assert step.done
        batch = both.submit("k")
        both.work()
        assert both.counts(batch) == {"succeeded": 3}
        assert both.computed() == sorted(TEXTS)

    def test_its_repeat_after_a_worker_had_its_items(self, number: int, after: bool) -> None:
        both = Both()
        both.when(Step(number, kill), after)
        with suppress(Killed):
            both.submit("k")
        both.worker.run()
        batch = both.submit("k")
        both.work()
        assert both.counts(batch) == {"succeeded": 3}
        assert both.computed() == sorted(TEXTS)

    def test_without_a_repeat_nothing_stays_open(self, number: int, after: bool) -> None:
        both = Both()
        both.when(Step(number, kill), after)
        with suppress(Killed):
            both.submit("k")
        both.work()
        assert not {item["status"] for item in both.worker.table.items.values()} & OPEN
        assert len(both.computed()) == len(set(both.computed()))


def killed_and_swept(number: int, after: bool) -> Both:
    """A keyed submit that was killed, and whose items were swept."""
    both = Both()
    step = Step(number, kill)
    both.when(step, after)
    with suppress(Killed):
        both.submit("k")
    assert step.done
    both.when(lambda _: None, after)
    both.work()
    return both


class TestAKilledSubmitWhoseItemsWereEndedAsLost:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("number", range(len(SUBMIT)), ids=lambda number: f"{number}_{SUBMIT[number]}")
    def test_its_repeat_runs_each_item_once(self, number: int, after: bool) -> None:
        both = killed_and_swept(number, after)
        batch = both.submit("k")
        both.work()
        assert both.counts(batch) == {"succeeded": 3}
        assert both.computed() == sorted(TEXTS)
        assert both.submit("k").seed == batch.seed
        both.work()
        assert both.computed() == sorted(TEXTS)

    @pytest.mark.parametrize("swept", [False, True], ids=["soon", "swept again"])
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("number", range(16))
    @pytest.mark.parametrize("first", [5, 6], ids=["nothing sent", "one sent"])
    def test_a_repeat_that_is_killed_is_repeated(self, first: int, number: int, after: bool, swept: bool) -> None:
        both = killed_and_swept(first, after=False)
        both.when(Step(number, kill), after)
        with suppress(Killed):
            both.submit("k")
        both.when(lambda _: None, after)
        if swept:
            both.work()
        batch = both.submit("k")
        both.work()
        assert both.counts(batch) == {"succeeded": 3}
        assert both.computed() == sorted(TEXTS)

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("number", range(12))
    def test_two_repeats_at_once(self, number: int, after: bool) -> None:
        both = killed_and_swept(5, after=False)

        def repeat() -> None:
            both.when(lambda _: None, after)
            both.clock.advance(ms=1)
            both.submit("k")

        both.when(Step(number, repeat), after)
        batch = both.submit("k")
        both.work()
        assert both.counts(batch) == {"succeeded": 3}
        assert both.computed() == sorted(TEXTS)

    @pytest.mark.parametrize("operation", ["create_batch", "apply_batch", "get_many", "create", "put", "send_many"])
    @pytest.mark.parametrize("took_effect", [False, True])
    def test_a_repeat_that_aws_rejects_is_repeated(self, operation: str, took_effect: bool) -> None:
        both = killed_and_swept(5, after=False)
        targets = (both.batch_table, both.worker.table, both.worker.bucket, both.worker.queue)
        for target in targets:
            target.faults = [Fault(operation, done=took_effect)]
        with suppress(Unavailable):
            both.submit("k")
        for target in targets:
            target.faults = []
        batch = both.submit("k")
        both.work()
        assert both.counts(batch) == {"succeeded": 3}
        assert both.computed() == sorted(TEXTS)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_message_of_the_first_submit_that_arrives_after_all_runs_nothing_twice(self, when: str) -> None:
        both = Both()
        both.when(Step(SUBMIT.index("apply_batch"), kill))
        with suppress(Killed):
            both.submit("k")
        both.when(lambda _: None)
        messages, both.worker.queue.messages = both.worker.queue.messages, {}
        both.work()
        assert both.computed() == []
        batch = both.submit("k")
        if when == "before":
            both.worker.queue.messages = messages | both.worker.queue.messages
        both.work()
        if when == "after":
            both.worker.queue.messages = messages
            both.work()
        assert both.counts(batch) == {"succeeded": 3}
        assert both.computed() == sorted(TEXTS)

    def test_the_input_object_of_the_lost_item_is_deleted(self) -> None:
        both = killed_and_swept(5, after=False)
        (before,) = both.worker.bucket.objects
        both.submit("k")
        (after,) = both.worker.bucket.objects
        assert before != after

    def test_other_ends_than_lost_stay(self) -> None:
        both = killed_and_swept(5, after=False)
        both.clock.advance(ms=DEADLINE * 1000)
        batch = both.submit("k")
        both.work()
        assert both.counts(batch) == {"failed": 3}, "past the deadline of the batch"
        assert both.computed() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(SUBMIT) - 1), ids=lambda number: f"{number}_{SUBMIT[number]}")
def test_a_submit_without_a_key_that_is_killed_leaves_nothing_open(number: int, after: bool) -> None:
    both = Both()
    step = Step(number, kill)
    both.when(step, after)
    with suppress(Killed):
        both.submit()
    assert step.done
    both.work()
    assert not {item["status"] for item in both.worker.table.items.values()} & OPEN


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("fault", ["create_many", "send_many"])
def test_one_that_is_killed_while_it_withdraws_leaves_nothing_open(fault: str, number: int) -> None:
    both = Both()
    for target in (both.worker.table, both.worker.queue):
        target.faults = [Fault(fault, skip=2)]
    both.when(Step(5 + number, kill))
    with suppress(Killed, Unavailable):
        both.submit("k")
    both.when(lambda _: None)
    for target in (both.worker.table, both.worker.queue):
        target.faults = []
    both.work()
    assert not {item["status"] for item in both.worker.table.items.values()} & OPEN
    batch = both.submit("k")
    both.work()
    counts = both.counts(batch)
    assert sum(counts.values()) == 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(CANCEL)), ids=lambda number: f"{number}_{CANCEL[number]}")
def test_a_cancel_that_is_killed_at_any_step_is_repeated(number: int, after: bool) -> None:
    both = Both()
    batch = both.submit()
    step = Step(number, kill)
    both.when(step, after)
    with suppress(Killed):
        both.batches.cancel(batch.batch_id, ME, both.clock())
    assert step.done
    with suppress(Exception):
        both.batches.cancel(batch.batch_id, ME, both.clock())
    both.work()
    assert both.counts(batch) == {"cancelled": 3}
    assert both.computed() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(ENDS)), ids=lambda number: f"{number}_{ENDS[number]}")
def test_a_worker_that_is_killed_is_counted_once(number: int, after: bool) -> None:
    both = Both()
    batch = both.submit()
    step = Step(number, kill)
    both.when(step, after)
    with suppress(Killed):
        both.worker.run()
    assert step.done
    both.work()
    assert both.counts(batch) == {"succeeded": 3}
    assert {record.status for record in map(both.worker.table.record, batch.item_ids(0, 3))} == {Status.SUCCEEDED}
