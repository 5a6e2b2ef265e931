"""The rules of batches: accept one, show it, cancel it.

A submit checks all items, and then writes the batch's record, the items' records and their messages, in this order:

    new key or none    create batch -> create items -> (large: objects) -> send -> (keyed: confirm) -> accepted
    same key again     confirmed: accepted, like the first
                       not confirmed: take the submit over -> create what is missing, or was ended as lost
                                      -> send, confirm again -> accepted
    AWS rejects        discard the batch, unless it was taken over -> cancel the items -> Unavailable

A batch from a file is its record and one message to the batches function, which does the rest (`creation.py`).

The items' ids follow from the batch's seed, so a repeat writes the same records, and what is there already stays. An
item is an ordinary request from then on: workers, dead letters and sweeps know no batches. docs/adr/0014-batches.md has
what a process that is killed between two steps leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from inference.aws.deadline import Deadline
from inference.batches import transitions
from inference.batches.counting import Counting, Shown
from inference.batches.items import (
    MAX_ERROR_CHARACTERS,
    Item,
    cancel_items,
    checked_item,
    complete_items,
    create_items,
)
from inference.batches.record import BatchRecord, Stage
from inference.catalog import Catalog, CatalogEntry
from inference.errors import (
    AlreadyFinal,
    InvalidBatch,
    InvalidInput,
    InvalidItems,
    InvalidReference,
    KeyReused,
    NotFinal,
    NoWebhook,
    Unavailable,
    UnknownBatch,
)
from inference.references import reference_to
from inference.requests import can_be_id, derived_id, digest_of_input, new_request_id
from inference.service import Limits
from inference.store.batch_queue import BatchQueue
from inference.store.batch_table import BatchTable
from inference.store.payloads import Payloads
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.webhooks import transitions as webhook_transitions
from inference.webhooks.options import NONE, new_webhook


class Batches:
    """Accepts, shows and cancels batches. `now` is the time in epoch milliseconds.

    Args:
        batches: where the records of batches are.
        table: where the items' records are.
        queues: model name -> its queue.
        limits: of each item.
        queue: of the batches function.
        max_items: of one batch that is not from a file.
        deadline: reserves time for a discard.
        webhook_url: of batches whose client gives none.
    """

    def __init__(
        self,
        batches: BatchTable,
        table: RequestTable,
        queues: Callable[[str], RequestQueue],
        catalog: Catalog,
        limits: Limits,
        payloads: Payloads,
        queue: BatchQueue,
        max_items: int,
        deadline: Deadline | None = None,
        webhook_url: str | None = None,
    ) -> None:
        self._batches = batches
        self._table = table
        self._queues = queues
        self._catalog = catalog
        self._limits = limits
        self._payloads = payloads
        self._queue = queue
        self._max_items = max_items
        self._webhook_url = webhook_url
        self._counting = Counting(batches, table)
        self._deadline = deadline or Deadline()

    # Submit

    def submit(
        self,
        model: str | None,
        values: Sequence[Any],
        caller: str,
        now: int,
        key: str | None = None,
        webhook: str | None = None,
    ) -> BatchRecord:
        """Accept a batch: all records and messages are written when this returns. `webhook`: the client's choice, as
        `webhooks.options.chosen_url` returns it.

        Raises:
            UnknownModel, InvalidBatch: the batch is not valid.
            InvalidItems: items are not valid; all of them are told.
            KeyReused: the key was used with other items, another model or another webhook.
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
            first = self._confirmed(batch_id, digest, now, webhook) if key else None
            if first is None:
                raise
            return first
        return self._accept(self._new(batch_id, entry, caller, now, digest, len(items), webhook), items, webhook)

    def submit_file(
        self,
        model: str | None,
        upload_id: str,
        caller: str,
        now: int,
        key: str | None = None,
        webhook: str | None = None,
    ) -> BatchRecord:
        """Accept a file of lines, each an input; the batches function checks them and creates the items. `webhook` as
        in `submit`.

        Raises:
            UnknownModel: there is none of this name.
            InvalidReference: there is no such upload of this caller, or it is no file of lines.
            KeyReused: the key was used with another upload or other items, another model or another webhook.
            Unavailable: AWS failed; a repeat with the key completes the submit.
        """
        entry = self._catalog.entry(model)
        digest = digest_of_input(entry.name, reference_to(upload_id)) if key else None
        batch_id = derived_id("batch", caller, key) if key else new_request_id()
        try:
            size = self._payloads.check_file(upload_id, caller, now)
        except InvalidReference:
            first = self._confirmed(batch_id, digest, now, webhook) if key else None
            if first is None:
                raise
            return first  # which has deleted it, or it is too old by now
        batch = self._new(batch_id, entry, caller, now, digest, 0, webhook)
        return self._accept(batch._replace(upload=upload_id, upload_bytes=size, stage=Stage.CHECKING), (), webhook)

    def _confirmed(self, batch_id: str, digest: str | None, now: int, webhook: str | None) -> BatchRecord | None:
        """The batch of an earlier submit with the same key and the same items, if that was completed."""
        first = self._batches.get(batch_id, consistent=True)
        if first is None or first.submit_id or first.input_digest != digest or first.delete_at * 1000 <= now:
            return None
        _require_same_webhook(first, webhook)
        return first

    def _new(
        self,
        batch_id: str,
        entry: CatalogEntry,
        caller: str,
        now: int,
        digest: str | None,
        total: int,
        webhook: str | None,
    ) -> BatchRecord:
        expires_at = now + self._limits.deadline * 1000
        return BatchRecord(
            batch_id=batch_id,
            caller=caller,
            model=entry.name,
            seed=new_request_id(),
            total=total,
            submitted_at=now,
            expires_at=expires_at,
            delete_at=expires_at // 1000 + self._limits.retention,
            attempt_limit=self._limits.attempts,
            input_digest=digest,
            submit_id=new_request_id(),
            **new_webhook(webhook, self._webhook_url, expires_at),
        )

    def _accept(self, batch: BatchRecord, items: Sequence[Item], webhook: str | None) -> BatchRecord:
        """Write a batch, or take over the one of an earlier submit with the same key. A keyed one has a digest. One
        with a webhook is confirmed too: it is not final while items may be missing."""
        try:
            existing = self._batches.create(batch)
        except Unavailable:
            self._discard(batch)  # it may have been written
            raise
        if existing is not None:
            return self._repeat(batch, existing, items, webhook)
        return self._send(batch, items, confirmed=batch.input_digest is not None or batch.webhook_url is not None)

    def _checked(self, entry: CatalogEntry, values: Sequence[Any], caller: str, now: int) -> list[Item]:
        items: list[Item] = []
        errors: list[dict[str, Any]] = []
        for index, value in enumerate(values):
            try:
                items.append(checked_item(entry, value, caller, now, self._payloads))
            except (InvalidInput, InvalidReference) as error:
                errors.append({"index": index, "detail": str(error)[:MAX_ERROR_CHARACTERS]})
        if errors:
            detail = f"{len(errors)} of {len(values)} items are not valid: nothing was accepted."
            raise InvalidItems(detail, errors=errors)
        return items

    def _send(
        self, batch: BatchRecord, items: Sequence[Item], confirmed: bool, taken_over_at: int | None = None
    ) -> BatchRecord:
        arguments = (batch, list(enumerate(items)), self._table, self._payloads, self._queues)
        try:
            if batch.upload is not None:
                self._queue.send(batch.batch_id)
            elif taken_over_at is None:
                create_items(*arguments)
            else:
                complete_items(*arguments, taken_over_at)
        except Unavailable:
            if taken_over_at is None and self._discard(batch):
                cancel_items(self._table, batch.item_ids(0, batch.total), batch.submitted_at)
            elif batch.upload is not None and batch.input_digest is None:
                return batch  # the batches function has it, so SQS did take the message
            raise
        if confirmed:
            with suppress(Unavailable):  # a repeat with the key sends again
                self._batches.apply(transitions.confirm(batch))
        return batch

    def _discard(self, batch: BatchRecord) -> bool:
        self._deadline.release_reserve()
        return self._batches.discard(batch)

    def _repeat(
        self, batch: BatchRecord, existing: BatchRecord, items: Sequence[Item], webhook: str | None
    ) -> BatchRecord:
        """The key was used before: the same batch again, another one, or one whose messages may not have been sent."""
        if existing.input_digest != batch.input_digest:
            detail = "This idempotency key was used with another batch. A new one needs a new key."
            raise KeyReused(detail, batch_id=existing.batch_id)
        _require_same_webhook(existing, webhook)
        if existing.submit_id is None or existing.cancelled_at is not None:
            return existing
        taken = self._batches.apply(transitions.take_over(existing, new_request_id()))
        if taken is not None:
            return self._send(taken, items, confirmed=True, taken_over_at=batch.submitted_at)
        current = self._batches.get(batch.batch_id, consistent=True)
        if current is None:
            raise Unavailable("the first batch with this key was withdrawn")
        return self._repeat(batch, current, items, webhook)  # confirmed, or taken over by another repeat

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
        """See `Counting.show`."""
        return self._counting.show(batch, now, start, limit)

    # Cancel

    def cancel(self, batch_id: str, caller: str, now: int) -> tuple[Shown, int]:
        """Cancel the items that are not final; cancelling again changes nothing. Returns the batch, and how many items
        this call has cancelled: none of a batch from a file, which the batches function cancels.

        Raises:
            UnknownBatch: as in `get`.
            AlreadyFinal: all items have ended in another way.
            Unavailable: the table did not answer; a repeat cancels what is left.
        """
        batch = self.get(batch_id, caller, now)
        if batch.cancelled_at is None:
            shown = self.show(batch, now)
            if shown.finished:
                detail = "All items of the batch are final already; their outcomes do not change."
                raise AlreadyFinal(detail, batch_id=batch_id, batch_status=shown.status)
            batch = self._batches.apply(transitions.cancel(batch, now)) or batch
        cancelled = 0
        if batch.upload is None:
            cancelled = cancel_items(self._table, batch.item_ids(0, batch.total), now)
        else:
            self._queue.send(batch.batch_id)
        return self.show(batch._replace(cancelled_at=batch.cancelled_at or now), now), cancelled

    # Webhook

    def resend_webhook(self, batch_id: str, caller: str, now: int) -> Shown:
        """Send a final batch's webhook again, with new attempts. While it is about to be sent, or being sent, nothing
        changes.

        Raises:
            UnknownBatch: as in `get`.
            NoWebhook: it was submitted without one.
            NotFinal: it is sent when the batch is final.
            Unavailable: the table did not answer.
        """
        batch = self.get(batch_id, caller, now)
        if batch.webhook_url is None:
            raise NoWebhook("The batch was submitted without a webhook.", batch_id=batch_id)
        if batch.finished_at is not None and batch.webhook_state in webhook_transitions.RESENDABLE:
            again = self._batches.apply(webhook_transitions.resend(batch, now))
            # Else another resend, or an attempt of a retry: either sends it.
            batch = again or self._batches.get(batch_id, consistent=True) or batch
        shown = self.show(batch, now)
        if not shown.finished:
            detail = "The batch is not final: its webhook is sent when it is."
            raise NotFinal(detail, batch_id=batch_id, batch_status=shown.status)
        return shown


def _require_same_webhook(first: BatchRecord, chosen: str | None) -> None:
    """Of two submits with one key. A client that gives no webhook may meet another default than the first time."""
    if chosen is not None and first.webhook_url != (None if chosen == NONE else chosen):
        detail = "This idempotency key was used with another webhook. A new batch needs a new key."
        raise KeyReused(detail, batch_id=first.batch_id)
