"""An item of a batch: its check, its record, and how many are cancelled together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from inference import transitions
from inference.batches.record import BatchRecord
from inference.catalog import CatalogEntry
from inference.errors import Unavailable
from inference.references import upload_ids
from inference.requests import BATCH, OPEN, Message, Record, Status, message_group
from inference.store.payloads import Payloads, message_of, placed
from inference.store.request_queue import RequestQueue
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.submission import check_input

Queues = Callable[[str], RequestQueue]
"""Model name -> its queue."""

MAX_ERROR_CHARACTERS = 300
"""Of one item's error: many of them are told at once."""


class Item(NamedTuple):
    """An item of a batch, checked: its input and the uploads that it refers to."""

    value: Any
    uploads: tuple[str, ...]


def checked_item(entry: CatalogEntry, value: Any, caller: str, now: int, payloads: Payloads) -> Item:
    """An item, if its input is valid.

    Raises:
        InvalidInput, InvalidReference: it is not.
        Unavailable: S3 did not answer.
    """
    uploads = upload_ids(value)
    return Item(check_input(entry, value, uploads, caller, now, payloads), uploads)


def record_of(batch: BatchRecord, index: int, item: Item, created_at: int | None = None) -> Record:
    """The record of an item. `created_at`: epoch milliseconds, if that is long after the batch's submit: a sweep takes
    a request without activity for a lost one."""
    record = Record(
        request_id=batch.item_id(index),
        status=Status.PENDING,
        model=batch.model_of(index),
        caller=batch.caller,
        submitted_at=batch.submitted_at,
        expires_at=batch.expires_at,
        delete_at=batch.delete_at,
        attempt_limit=batch.attempt_limit,
        uploads=" ".join(item.uploads) or None,
        batch_id=batch.batch_id,
        webhook_of=BATCH if batch.webhook_url is not None else None,
        resubmitted_at=created_at,
        source=batch.source,
        results_of=batch.trigger if batch.writes_results else None,
    )
    return placed(record, item.value)


def create_items(
    batch: BatchRecord,
    items: Sequence[tuple[int, Item]],
    table: RequestTable,
    payloads: Payloads,
    queues: Queues,
    created_at: int | None = None,
) -> None:
    """Write the records, objects and messages of items, with their indexes. Those that are there already stay.

    Raises:
        Unavailable: not all may be written.
    """
    records = _records(batch, items, created_at)
    table.create_many([record for record, _ in records])
    _send([(record, item.value) for record, item in records], payloads, queues)


def complete_items(
    batch: BatchRecord,
    items: Sequence[tuple[int, Item]],
    table: RequestTable,
    payloads: Payloads,
    queues: Queues,
    now: int,
) -> None:
    """The same for a batch of which an earlier submit, that was not accepted, may have written a part.

    Items that are there stay, and get their messages again if no worker has had them. One that was ended as lost
    meanwhile is created again: its new record has a later `submitted_at`, which each claim requires of its message, so
    a message of the earlier submit can't run it.

    Raises:
        Unavailable: not all may be written.
    """
    wanted = {record.request_id: (record, item.value) for record, item in _records(batch, items, now)}
    there = {record.request_id: record for record in table.get_many([*wanted], consistent=True)}
    if batch.expires_at > now:
        for request_id, lost in there.items():
            if lost.ended_as_lost:
                record = wanted[request_id][0]._replace(submitted_at=now, resubmitted_at=None)
                if table.create(record, lost) is None:
                    payloads.drop_input(lost)
    table.create_many([record for request_id, (record, _) in wanted.items() if request_id not in there])
    current = table.get_many([*wanted], consistent=True)  # others may have created them
    waiting = [(record, wanted[record.request_id][1]) for record in current if not record.claimed]
    _send(waiting, payloads, queues)


def _records(
    batch: BatchRecord, items: Sequence[tuple[int, Item]], created_at: int | None
) -> list[tuple[Record, Item]]:
    return [(record_of(batch, index, item, created_at), item) for index, item in items]


def _send(records: Sequence[tuple[Record, Any]], payloads: Payloads, queues: Queues) -> None:
    """Write the objects and the messages of items: records with their inputs."""
    messages: dict[str, list[Message]] = {}
    for record, value in records:
        payloads.keep_input(record, value)
        messages.setdefault(record.model, []).append(message_of(record, value))
    for model, of_model in messages.items():
        queues(model).send_many(of_model, message_group(model, records[0][0].caller))


def cancel_items(table: RequestTable, ids: Sequence[str], now: int) -> int:
    """Cancel the requests that are not final. Returns how many this call has cancelled; unknown ones are left alone.

    Raises:
        Unavailable: an item may not be cancelled.
    """
    together = table.apply([transitions.cancel_pending(request_id, now) for request_id in ids])
    running = [
        request_id
        for request_id, result in zip(ids, together, strict=True)
        if isinstance(result, ConditionFailed) and result.record is not None and result.record.status in OPEN
    ]
    results = together + table.apply([transitions.cancel(request_id, now) for request_id in running])
    for result in results:
        if isinstance(result, Unavailable):
            raise result
    return sum(isinstance(result, Applied) for result in results)
