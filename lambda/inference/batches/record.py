"""A batch: its record in the request table, and the ids of its items.

The record does not change when an item does: what became of the items is read from their own records.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference.requests import derived_id

CHUNK = 100
"""Items that are read, and kept as ended, together: what one BatchGetItem takes."""


@dataclass(frozen=True)
class BatchRecord:
    """A batch. Times are in epoch milliseconds, except `delete_at`, in seconds.

    Attributes:
        seed: random; the items' ids are derived from it and their index.
        total: how many items it has.
        expires_at, delete_at, attempt_limit: of each item.
        input_digest: of the items, if it was submitted with an Idempotency-Key.
        submit_id: random, names the one submit that may discard the batch; removed when its messages are confirmed.
        cancelled_at: when it was cancelled.
        ended: JSON, chunk -> tally, of chunks whose items are all final (`progress.py`).
    """

    batch_id: str
    caller: str
    model: str
    seed: str
    total: int
    submitted_at: int
    expires_at: int
    delete_at: int
    attempt_limit: int
    input_digest: str | None = None
    submit_id: str | None = None
    cancelled_at: int | None = None
    ended: str | None = None

    def item_id(self, index: int) -> str:
        """The request id of an item, from 0."""
        return derived_id(self.seed, index)

    def item_ids(self, start: int, end: int) -> list[str]:
        """The request ids of the items from `start` up to, and without, `end`."""
        return [self.item_id(index) for index in range(start, min(end, self.total))]
