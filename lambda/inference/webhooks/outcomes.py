"""What webhooks are about, as the deliverer needs it: requests, and batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from inference.batches.counting import Counting
from inference.batches.description import describe_batch
from inference.batches.parent import describe_parent
from inference.batches.record import BatchRecord
from inference.description import describe
from inference.requests import FINAL, Record
from inference.store.batch_table import BatchTable
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.transitions import Update
from inference.webhooks.transitions import Announced

Kind = TypeVar("Kind", bound=Announced)

Files = Callable[[Record, int], Sequence[Mapping[str, Any]]]
"""The files of a result, with links: `store.payloads.file_links`."""


class Outcomes(Protocol[Kind]):
    """The records of one kind."""

    def get(self, name: str, now: int) -> Kind | None:
        """The record by its id, as it is after every write before this call; None: there is none, it is not final, or
        it has no webhook.

        Raises:
            Unavailable: the table did not answer.
        """

    def apply(self, update: Update) -> Kind | None:
        """The record after an update; None if it has changed since it was read.

        Raises:
            Unavailable: the table did not answer.
        """

    def document(self, outcome: Kind, now: int) -> Mapping[str, Any]:
        """What is sent.

        Raises:
            Unavailable: the table did not answer.
        """


class Requests:
    """Of requests."""

    def __init__(self, table: RequestTable, files: Files) -> None:
        self._table = table
        self._files = files

    def get(self, name: str, now: int) -> Record | None:
        record = self._table.get(name, consistent=True)
        if record is None or record.deleted_at(now) or record.webhook_url is None or record.status not in FINAL:
            return None
        return record

    def apply(self, update: Update) -> Record | None:
        match self._table.apply([update])[0]:
            case Applied(record=record):
                return record
            case ConditionFailed(record=current):
                return current if _has(current, update) else None
            case error:
                raise error

    def document(self, outcome: Record, now: int) -> Mapping[str, Any]:
        return describe(outcome, now, self._files(outcome, now))


class Batches:
    """Of batches. Their document has no items: those are in its pages, or in their own status documents. That of a
    parent, of an object's event, has its few requests."""

    def __init__(self, batches: BatchTable, counting: Counting, files: Files) -> None:
        self._batches = batches
        self._counting = counting
        self._files = files

    def get(self, name: str, now: int) -> BatchRecord | None:
        batch = self._batches.get(name, consistent=True)
        if batch is None or batch.delete_at * 1000 <= now or batch.webhook_url is None or batch.finished_at is None:
            return None
        return batch

    def apply(self, update: Update) -> BatchRecord | None:
        batch = self._batches.apply(update)
        if batch is None:
            current = self._batches.get(update.request_id, consistent=True)
            return current if _has(current, update) else None
        return batch

    def document(self, outcome: BatchRecord, now: int) -> Mapping[str, Any]:
        if outcome.trigger is not None:
            shown = self._counting.show(outcome, now, limit=outcome.total, exact=True)
            return describe_parent(shown, now, self._files)
        body, _ = describe_batch(self._counting.show(outcome, now, exact=True), now, lambda *_: ())
        return {**body, "next": None}


def _has(current: Announced | None, update: Update) -> bool:
    """Whether a result that was rejected has been written all the same: the AWS client repeats a write that got no
    answer. The log of attempts has this one's time and duration. What begins an attempt (claim, resend) has none."""
    return current is not None and "log" in update.values and current.webhook_log == update.values["log"]
