"""DynamoDB's limits on writes: of the table, and of the partitions of its indexes that all requests write to."""

from __future__ import annotations

from collections import deque

from inference.store.request_table import SHARDS
from scripts.cost.requests import LIST_WRITES, RECORD_WRITES
from scripts.simulate.buckets import Bucket
from scripts.simulate.limits import Limits

PATIENCE_SECONDS = 2.0
"""So long a write is repeated when it is throttled: the clients' pauses between their attempts, about."""

DOUBLING_SECONDS = 1800
"""On demand, a table takes twice the peak that it had before the last half an hour."""

SUBMIT_WRITES = 1
"""Of the record: the others are the worker's, claim and finish."""


class Table:
    """The request table.

    Args:
        limits: of the table and its partitions.
        listed: it has the index of callers. callers: how many there are, each with a partition of that index.
        used_before: write units per second that it has had for long.
    """

    def __init__(self, limits: Limits, *, listed: bool, callers: int, used_before: float = 0.0) -> None:
        self._limits = limits
        self._peak = used_before
        self._minutes: deque[tuple[float, float]] = deque()
        self._next_look = 0.0
        capacity = self._capacity()
        self.records = Bucket(capacity, capacity)
        size = limits.partition_writes * limits.burst_seconds
        self.shards = [Bucket(limits.partition_writes, size) for _ in SHARDS]
        self.callers = [Bucket(limits.partition_writes, size) for _ in range(callers)] if listed else []

    def submit(self, now: float, shard: int, caller: int) -> float | None:
        """Write a new record: seconds that it waits. None: it stays throttled."""
        self._look(now)
        parts = [self.records.reserve(now, SUBMIT_WRITES, PATIENCE_SECONDS)]
        parts.append(self.shards[shard].reserve(now, 1, PATIENCE_SECONDS))
        if self.callers:
            parts.append(self.callers[caller].reserve(now, LIST_WRITES, PATIENCE_SECONDS))
        return _longest(parts)

    def work(self, now: float, shards: list[int]) -> float | None:
        """Claim and finish the requests of a batch: seconds that the writes wait, none of an index. None: they stay
        throttled."""
        self._look(now)
        parts = [self.records.reserve(now, (RECORD_WRITES - SUBMIT_WRITES) * len(shards), PATIENCE_SECONDS)]
        return _longest(parts)

    def _capacity(self) -> float:
        return min(self._limits.most_table_writes, max(self._limits.table_writes, 2 * self._peak))

    def _look(self, now: float) -> None:
        """Once a minute: what the table takes from now on."""
        if now < self._next_look:
            return
        self._next_look = now + 60
        self._minutes.append((now, self.records.busiest))
        while self._minutes and self._minutes[0][0] <= now - DOUBLING_SECONDS:
            self._peak = max(self._peak, min(self._minutes.popleft()[1], self.records.rate))
        capacity = self._capacity()
        if capacity != self.records.rate:
            self.records.resize(capacity, capacity)


def _longest(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return max(known) if len(known) == len(parts) else None
