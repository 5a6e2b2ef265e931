"""The rules of batches: accept one, show it, cancel it.

A submit checks all items, and then writes the batch's record, the items' records and their messages, in this order:

    new key or none    create batch -> create items -> (large: objects) -> send -> (keyed: confirm) -> accepted
    same key again     confirmed: accepted, like the first
                       not confirmed: take the submit over -> create, send, confirm again -> accepted
    AWS rejects        discard the batch, unless it was taken over -> cancel the items -> Unavailable

The items' ids follow from the batch's seed, so a repeat writes the same records, and what is there already stays. An
item is an ordinary request from then on: workers, dead letters and sweeps know no batches. docs/adr/0014-batches.md has
what a process that is killed between two steps leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from inference import transitions as request_transitions
from inference.aws.deadline import Deadline
from inference.batches import transitions
from inference.batches.progress import Tally, chunks_of, ended_chunks, ended_to_json, tally_of
from inference.batches.record import CHUNK, BatchRecord
from inference.catalog import Catalog, CatalogEntry
from inference.errors import (
    AlreadyFinal,
    InvalidBatch,
    InvalidInput,
    InvalidItems,
    InvalidReference,
    KeyReused,
    Unavailable,
    UnknownBatch,
)
from inference.references import upload_ids
from inference.requests import (
    OPEN,
    Record,
    Status,
    can_be_id,
    derived_id,
    digest_of_input,
    message_group,
    new_request_id,
)
from inference.service import Limits
from inference.store.batch_table import BatchTable
from inference.store.payloads import Payloads, message_of, placed
from inference.store.request_queue import RequestQueue
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.submission import check_input

MAX_ERROR_CHARACTERS = 300
"""Of one item's error: a hundred of them are told at once."""


@dataclass(frozen=True)
class Item:
    """An item of a batch, checked: its input and the uploads that it refers to."""

    value: Any
    uploads: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """A batch as it is at one moment, and the items that were asked for: index and record, None if it was erased."""

    batch: BatchRecord
    tally: Tally
    items: Sequence[tuple[int, Record | None]]

    @property
    def finished(self) -> bool:
        """Whether all items are final."""
        return self.tally.open == 0


class Batches:
    """Accepts, shows and cancels batches. `now` is the time in epoch milliseconds.

    Args:
        batches: where the records of batches are.
        table: where the items' records are.
        queues: model name -> its queue.
        limits: of each item.
        max_items: of one batch.
        deadline: reserves time for a discard.
    """

    def __init__(
        self,
        batches: BatchTable,
        table: RequestTable,
        queues: Callable[[str], RequestQueue],
        catalog: Catalog,
        limits: Limits,
        payloads: Payloads,
        max_items: int,
        deadline: Deadline | None = None,
    ) -> None:
        self._batches = batches
        self._table = table
        self._queues = queues
        self._catalog = catalog
        self._limits = limits
        self._payloads = payloads
        self._max_items = max_items
        self._deadline = deadline or Deadline()

    # Submit

    def submit(
        self, model: str | None, values: Sequence[Any], caller: str, now: int, key: str | None = None
    ) -> BatchRecord:
        """Accept a batch: all records and messages are written when this returns.

        Raises:
            UnknownModel, InvalidBatch: the batch is not valid.
            InvalidItems: items are not valid; all of them are told.
            KeyReused: the key was used with other items or another model.
            Unavailable: AWS failed. No item is left `pending`, unless it could not be ended or another submit with the
                same key has taken the batch over: a repeat sends it, or a sweep ends it.
        """
        entry = self._catalog.entry(model)
        if not 1 <= len(values) <= self._max_items:
            detail = f"The batch has {len(values)} items; 1 to {self._max_items} are accepted."
            raise InvalidBatch(detail)
        digest = digest_of_input(entry.name, values) if key else None
        batch_id = derived_id("batch", caller, key) if key else new_request_id()
        try:
            items = self._checked(entry, values, caller, now)
        except InvalidItems:
            # Valid then: an upload was erased since, or the schema has changed.
            first = self._batches.get(batch_id, consistent=True) if key else None
            if first is None or first.submit_id or first.input_digest != digest or first.delete_at * 1000 <= now:
                raise
            return first
        expires_at = now + self._limits.deadline * 1000
        batch = BatchRecord(
            batch_id=batch_id,
            caller=caller,
            model=entry.name,
            seed=new_request_id(),
            total=len(items),
            submitted_at=now,
            expires_at=expires_at,
            delete_at=expires_at // 1000 + self._limits.retention,
            attempt_limit=self._limits.attempts,
            input_digest=digest,
            submit_id=new_request_id(),
        )
        try:
            existing = self._batches.create(batch)
        except Unavailable:
            self._discard(batch)  # it may have been written
            raise
        if existing is not None:
            return self._repeat(batch, existing, items)
        return self._send(batch, items, confirmed=key is not None)

    def _checked(self, entry: CatalogEntry, values: Sequence[Any], caller: str, now: int) -> list[Item]:
        items: list[Item] = []
        errors: list[dict[str, Any]] = []
        for index, value in enumerate(values):
            try:
                uploads = upload_ids(value)
                items.append(Item(check_input(entry, value, uploads, caller, now, self._payloads), uploads))
            except (InvalidInput, InvalidReference) as error:
                errors.append({"index": index, "detail": str(error)[:MAX_ERROR_CHARACTERS]})
        if errors:
            detail = f"{len(errors)} of {len(values)} items are not valid: nothing was accepted."
            raise InvalidItems(detail, errors=errors)
        return items

    def _send(
        self, batch: BatchRecord, items: Sequence[Item], confirmed: bool, taken_over: bool = False
    ) -> BatchRecord:
        records = [_record_of(batch, index, item) for index, item in enumerate(items)]
        try:
            self._table.create_many(records)
            for record, item in zip(records, items, strict=True):
                self._payloads.keep_input(record, item.value)
            messages = [message_of(record, item.value) for record, item in zip(records, items, strict=True)]
            self._queues(batch.model).send_many(messages, message_group(batch.model, batch.caller))
        except Unavailable:
            if not taken_over and self._discard(batch):
                self._cancel_items(batch, batch.submitted_at)
            raise
        if confirmed:
            with suppress(Unavailable):  # a repeat with the key sends again
                self._batches.apply(transitions.confirm(batch))
        return batch

    def _discard(self, batch: BatchRecord) -> bool:
        self._deadline.release_reserve()
        return self._batches.discard(batch)

    def _repeat(self, batch: BatchRecord, existing: BatchRecord, items: Sequence[Item]) -> BatchRecord:
        """The key was used before: the same batch again, another one, or one whose messages may not have been sent."""
        if existing.input_digest != batch.input_digest:
            detail = "This idempotency key was used with another batch. A new one needs a new key."
            raise KeyReused(detail, batch_id=existing.batch_id)
        if existing.submit_id is None or existing.cancelled_at is not None:
            return existing
        taken = self._batches.apply(transitions.take_over(existing, new_request_id()))
        if taken is not None:
            return self._send(taken, items, confirmed=True, taken_over=True)
        current = self._batches.get(batch.batch_id, consistent=True)
        if current is None:
            raise Unavailable("the first batch with this key was withdrawn")
        return self._repeat(batch, current, items)  # confirmed, or taken over by another repeat

    # Read

    def get(self, batch_id: str, caller: str, now: int) -> BatchRecord:
        """A batch's record.

        Raises:
            UnknownBatch: unknown, deleted, or another caller's (which is not disclosed).
            Unavailable: the table did not answer.
        """
        batch = None
        if can_be_id(batch_id):
            batch = self._batches.get(batch_id) or self._batches.get(batch_id, consistent=True)
        if batch is None or batch.caller != caller or batch.delete_at * 1000 <= now:
            raise UnknownBatch("There is no batch with this id, or it is past its retention.")
        return batch

    def show(self, batch: BatchRecord, now: int, start: int = 0, limit: int = 0) -> Shown:
        """What became of a batch's items, and some of them from an index on. Chunks that have ended are kept, so that
        they are read once.

        Raises:
            Unavailable: the table did not answer.
        """
        ids = batch.item_ids(start, start + limit)
        found = self._records(ids, with_results=True)
        ended = ended_chunks(batch)
        known = len(ended)
        total = Tally()
        for chunk in chunks_of(batch):
            tally = ended.get(chunk)
            if tally is None:
                tally, last = self._tally(batch.item_ids(chunk * CHUNK, (chunk + 1) * CHUNK), found, now)
                if last:
                    ended[chunk] = tally
            total.add(tally)
        if len(ended) > known and batch.total > CHUNK:
            with suppress(Unavailable):  # they are read again with the next query
                self._batches.apply(transitions.keep_ended(batch, ended_to_json(ended)))
        return Shown(batch, total, [(start + place, found.get(request_id)) for place, request_id in enumerate(ids)])

    def _tally(self, ids: Sequence[str], found: Mapping[str, Record], now: int) -> tuple[Tally, bool]:
        records = found if found.keys() >= set(ids) else self._records(ids)
        return tally_of([records[request_id] for request_id in ids if request_id in records], len(ids), now)

    def _records(self, ids: Sequence[str], with_results: bool = False) -> dict[str, Record]:
        """The records of some items; one that an eventually consistent read did not find is read again."""
        found = {record.request_id: record for record in self._table.get_many(ids, with_results)}
        missing = [request_id for request_id in ids if request_id not in found]
        if missing:
            again = self._table.get_many(missing, with_results, consistent=True)
            found |= {record.request_id: record for record in again}
        return found

    # Cancel

    def cancel(self, batch_id: str, caller: str, now: int) -> tuple[Shown, int]:
        """Cancel the items that are not final; cancelling again changes nothing. Returns the batch, and how many items
        this call has cancelled.

        Raises:
            UnknownBatch: as in `get`.
            AlreadyFinal: all items have ended in another way.
            Unavailable: the table did not answer; a repeat cancels what is left.
        """
        batch = self.get(batch_id, caller, now)
        if batch.cancelled_at is None:
            if self.show(batch, now).finished:
                detail = "All items of the batch are final already; their outcomes do not change."
                raise AlreadyFinal(detail, batch_id=batch_id, batch_status="finished")
            batch = self._batches.apply(transitions.cancel(batch, now)) or batch
        cancelled = self._cancel_items(batch, now)
        return self.show(replace(batch, cancelled_at=batch.cancelled_at or now), now), cancelled

    def _cancel_items(self, batch: BatchRecord, now: int) -> int:
        """Returns the number of items that this call has cancelled.

        Raises:
            Unavailable: an item may not be cancelled.
        """
        ids = batch.item_ids(0, batch.total)
        together = self._table.apply([request_transitions.cancel_pending(request_id, now) for request_id in ids])
        running = [
            request_id
            for request_id, result in zip(ids, together, strict=True)
            if isinstance(result, ConditionFailed) and result.record is not None and result.record.status in OPEN
        ]
        results = together + self._table.apply([request_transitions.cancel(request_id, now) for request_id in running])
        for result in results:
            if isinstance(result, Unavailable):
                raise result
        return sum(isinstance(result, Applied) for result in results)


def _record_of(batch: BatchRecord, index: int, item: Item) -> Record:
    record = Record(
        request_id=batch.item_id(index),
        status=Status.PENDING,
        model=batch.model,
        caller=batch.caller,
        submitted_at=batch.submitted_at,
        expires_at=batch.expires_at,
        delete_at=batch.delete_at,
        attempt_limit=batch.attempt_limit,
        uploads=" ".join(item.uploads) or None,
        batch_id=batch.batch_id,
    )
    return placed(record, item.value)
