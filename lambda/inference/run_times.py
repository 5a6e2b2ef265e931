"""How long the last requests of each model took: in this process's memory, from the records that it reads anyway.

A client's last poll reads a final record, which has the times of its submit, start and end. So nothing is written or
read in addition, and no table keeps them. Each process learns for itself; one that has read no final record of a model
yet knows nothing of it.
"""

from __future__ import annotations

from typing import NamedTuple

from inference.requests import Record, Status

KEPT = 15
"""The last requests of a model that count. The median of so few follows a new load soon, and ignores single retries."""


NEEDED = 3
"""Fewer say nothing: one cold start would make the next clients ask too late. Asking too early costs one more poll."""


class RunTime(NamedTuple):
    """In milliseconds: `run_ms` from the last attempt's start to the end, `total_ms` from the submit to the end."""

    run_ms: int
    total_ms: int


class RunTimes:
    """The times of the last requests of each model."""

    def __init__(self) -> None:
        self._times: dict[str, dict[str, RunTime]] = {}

    def learn(self, record: Record) -> None:
        """Add a request, if it has succeeded; another read of it adds nothing."""
        if record.status is not Status.SUCCEEDED or record.started_at is None or record.finished_at is None:
            return
        times = self._times.setdefault(record.model, {})
        if record.request_id not in times:
            times[record.request_id] = RunTime(
                record.finished_at - record.started_at, record.finished_at - record.submitted_at
            )
            if len(times) > KEPT:
                del times[next(iter(times))]

    def usual(self, model: str) -> RunTime | None:
        """The medians of a model; None: not known."""
        times = self._times.get(model, {})
        if len(times) < NEEDED:
            return None
        middle = (len(times) - 1) // 2  # `statistics` takes too long to import
        runs, totals = (sorted(column) for column in zip(*times.values(), strict=True))
        return RunTime(runs[middle], totals[middle])
