"""Sweeps that die at any step, beside submits, workers and replays: nothing stays open, and nothing ends wrongly."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from inference import transitions
from inference.requests import CREATED_LATE_MS, FINAL, OPEN, Status, followed_shard
from inference.store.request_queue import RequestQueue
from inference.sweep import SETTLE_MS, Sweeper
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock, Recorder
from tests.unit.samples import a_record

GRACE = 60_000
DEADLINE_MS = 3_600_000
LATENESS = st.sampled_from([0, 0, 0, CREATED_LATE_MS, CREATED_LATE_MS + 1, 10 * GRACE])


class Killed(BaseException):
    """The process ends here."""


class Counts(RequestQueue):
    """A queue that has the messages of requests whose submit or worker did not die."""

    def __init__(self, sent: set[str], table: FakeTable) -> None:
        self._sent, self._table = sent, table

    def is_empty(self) -> bool:
        return not any(self._table.record(name).status in OPEN for name in self._sent)


class Sweeps(RuleBasedStateMachine):
    """Requests of two shards. A sweep that is not killed has seen whatever the grace time is over for."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.table = FakeTable()
        self.sent: set[str] = set()
        self.final: dict[str, Status] = {}
        queues = (Counts(self.sent, self.table),)
        self.sweeper = Sweeper(self.table, ("echo",), lambda _: queues, GRACE, Recorder())

    @rule(shard=st.sampled_from("af"), sent=st.booleans(), indexed=st.booleans(), late_ms=LATENESS)
    def submit(self, shard: str, sent: bool, indexed: bool, late_ms: int) -> None:
        """`late_ms`: an item that is created so long after its batch, as its record says where it is long."""
        name, now = f"{shard}{len(self.table.items)}", self.clock.now
        created = now if late_ms > CREATED_LATE_MS else None
        record = a_record(name, submitted_at=now - late_ms, expires_at=now + DEADLINE_MS, resubmitted_at=created)
        self.table.create(record)
        if sent:
            self.sent.add(name)
        if not indexed:
            self.table.not_indexed.add(name)

    @rule(ms=st.sampled_from([1, GRACE // 2, GRACE + 1, 2 * GRACE]))
    def time_passes(self, ms: int) -> None:
        """An index is late by seconds, never by what is left of the grace time."""
        self.clock.advance(ms=ms)
        self.table.not_indexed.clear()

    @rule(data=st.data())
    def a_request_ends(self, data: st.DataObject) -> None:
        if names := sorted(self.sent & {name for name, item in self.table.items.items() if item["status"] in OPEN}):
            self.table.apply([transitions.cancel(data.draw(st.sampled_from(names)), self.clock.now)])

    @rule(data=st.data())
    def a_failed_request_is_replayed(self, data: st.DataObject) -> None:
        if names := sorted(name for name, item in self.table.items.items() if item["status"] == Status.FAILED):
            record = self.table.record(data.draw(st.sampled_from(names)))
            now = self.clock.now
            times = {"expires_at": now + DEADLINE_MS, "delete_at": now, "attempts": 5}
            self.table.apply([transitions.replay(record, now, **times)])
            self.final.pop(record.request_id, None)

    @rule(steps=st.integers(1, 8), done=st.booleans(), looks=st.integers(0, 6))
    def a_sweep_dies_or_has_no_time(self, steps: int, done: bool, looks: int) -> None:
        """Killed before or after the effect of a step (`done`)."""
        left = iter(range(steps))

        def step(_: str) -> None:
            if next(left, None) is None:
                raise Killed

        setattr(self.table, "after" if done else "before", step)
        times = iter(range(looks))
        try:
            self.sweeper.sweep(self.clock, lambda: next(times, None) is not None)
        except Killed:
            pass
        finally:
            self.table.before = self.table.after = lambda _: None

    @rule()
    def a_whole_sweep(self) -> None:
        self.sweeper.sweep(self.clock, lambda: True)
        for name, item in self.table.items.items():
            if item["status"] in OPEN and int(item["submitted_at"]) < self.clock.now - GRACE:
                assert item["open_shard"] == followed_shard(name), "it is seen by each sweep from now on"

    @invariant()
    def a_final_request_stays_as_it_is(self) -> None:
        for name, item in self.table.items.items():
            if (status := self.final.get(name)) is not None:
                assert item["status"] == status
            elif item["status"] in FINAL:
                self.final[name] = Status(item["status"])

    @invariant()
    def a_request_with_a_message_is_not_lost(self) -> None:
        for name in self.sent:
            record = self.table.record(name)
            assert not record.ended_as_lost or record.replayed_at is not None

    def teardown(self) -> None:
        self.time_passes(DEADLINE_MS + GRACE + 1)
        for _ in range(3):
            self.a_whole_sweep()
            self.time_passes(GRACE + SETTLE_MS)
        statuses = {name: self.table.record(name).status for name in self.table.items}
        assert {name for name, status in statuses.items() if status in OPEN} == set(), "each request ends"
        self.a_whole_sweep()
        assert [
            name for name, item in self.table.items.items() if str(item.get("open_shard", "")).endswith("-followed")
        ] == []


Sweeps.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestSweeps = Sweeps.TestCase
