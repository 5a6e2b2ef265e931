"""What became of a batch's items, counted from their own records.

Nothing is counted when an item ends, so nothing can be missed or counted twice, whatever dies. Chunks of items that are
all final are kept in the batch's record, since a final status does not change: a large batch is not read as a whole
with each query. Keeping a chunk twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from inference.batches.record import CHUNK, BatchRecord
from inference.requests import FINAL, OPEN, Record, Status

ERASED = "erased"
"""Counted like a status: of items whose record was erased."""

NOT_CREATED = "not_created"
"""Counted like a status: of lines of a file whose item was not created, yet or at all."""

OUTCOMES = (*Status, ERASED, NOT_CREATED)


class Tally:
    """Items by status, and when the last of them became final (epoch milliseconds)."""

    def __init__(self, counts: dict[str, int] | None = None, finished_at: int = 0) -> None:
        self.counts = dict.fromkeys(OUTCOMES, 0) if counts is None else counts
        self.finished_at = finished_at

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and (self.counts, self.finished_at) == (other.counts, other.finished_at)

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def open(self) -> int:
        """How many items are not final."""
        return sum(self.counts[status] for status in OPEN)

    def add(self, other: Tally) -> None:
        """Count another's items too."""
        for status, count in other.counts.items():
            self.counts[status] += count
        self.finished_at = max(self.finished_at, other.finished_at)


def tally_of(records: Iterable[Record], items: int, now: int, not_created: int = 0) -> tuple[Tally, bool]:
    """The tally of some items of which these records exist, and whether it is the last one: all records are final.
    `not_created`: how many of those that do not exist were never created, at most."""
    tally, last = Tally(), True
    for record in records:
        tally.counts[record.status_at(now)] += 1
        tally.finished_at = max(tally.finished_at, record.finished_at or 0)
        last = last and record.status in FINAL
        items -= 1
    tally.counts[NOT_CREATED] = min(items, not_created)
    tally.counts[ERASED] = items - tally.counts[NOT_CREATED]
    return tally, last


def ended_chunks(batch: BatchRecord) -> dict[int, Tally]:
    """The chunks that are kept as ended."""
    return {
        int(chunk): Tally(dict(zip(OUTCOMES, counts, strict=True)), finished_at)
        for chunk, (finished_at, *counts) in json.loads(batch.ended or "{}").items()
    }


def ended_to_json(ended: dict[int, Tally]) -> str:
    """As the batch's record has them."""
    shown = {chunk: [tally.finished_at, *(tally.counts[name] for name in OUTCOMES)] for chunk, tally in ended.items()}
    return json.dumps(shown, separators=(",", ":"))


def chunks_of(batch: BatchRecord) -> range:
    """The numbers of the chunks of a batch that may have items."""
    return range((batch.created_to + CHUNK - 1) // CHUNK)
