"""Finds out when a batch with a webhook is final, exactly and once.

An item's last write starts a check (by the table's stream), and so does what ends the creation of items. A check reads
consistently, and after the write that started it: the check that the last write starts finds no open item. Two checks
at once can both find that; one conditional write of `finished_at` applies.

Items run about in their order, so most checks read the last item alone, find it open, and end. If it is final, the
items before it are read, a hundred at a time, down to one that is open, which the next check reads first. `open_to`
says how far that has come: each chunk of items is passed once.
"""

from __future__ import annotations

from inference.batches import transitions
from inference.batches.progress import ended_chunks
from inference.batches.record import CHUNK, UNFINISHED, BatchRecord
from inference.requests import OPEN
from inference.store.batch_table import BatchTable
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry
from inference.webhooks.retries import MESSAGE_GRACE_MS


class Finishing:
    """Finishes batches with a webhook."""

    def __init__(self, batches: BatchTable, table: RequestTable, telemetry: Telemetry) -> None:
        self._batches = batches
        self._table = table
        self._telemetry = telemetry

    def finished(self, batch_id: str, now: int) -> BatchRecord | None:
        """The batch, if nothing of it changes any more; None also for one that is gone or has no webhook.

        Raises:
            Unavailable: the table did not answer.
        """
        batch = self._batches.get(batch_id, consistent=True)
        if batch is None or batch.webhook_url is None:
            return None
        if batch.finished_at is not None:
            return batch
        late = batch.expires_at + MESSAGE_GRACE_MS < now  # no process works on it any more
        if batch.stage in UNFINISHED and not late:
            return None
        end = batch._replace(stage=batch.stage_at(now)).created_to
        known = end if batch.open_to is None else min(batch.open_to, end)
        open_to = self._open_to(batch, known, late)
        if open_to == 0:
            finished = self._batches.apply(transitions.finish(batch, now))
            if finished is None:  # another check was first, or the batch is gone
                current = self._batches.get(batch_id, consistent=True)
                return None if current is None or current.finished_at is None else current
            self._telemetry.info("batch_final", batch_id=batch_id, model=batch.model, items=batch.total)
            return finished
        if open_to < known:
            self._batches.apply(transitions.lower_open_to(batch, open_to))
        return None

    def _open_to(self, batch: BatchRecord, open_to: int, late: bool) -> int:
        """One more than the index of the last open item, of those before `open_to`; 0: none is open."""
        ended = ended_chunks(batch)
        # Until its submit is confirmed, a repeat of it creates the items that are missing, and again those that were
        # lost. In other batches an item that is missing was erased, or was never created by a step that was stopped.
        may_be_created = batch.stage is None and batch.submit_id is not None and not late
        together = 1
        while open_to > 0:
            start = (open_to - 1) // CHUNK * CHUNK
            if start // CHUNK not in ended:
                start = max(start, open_to - together)
                found = self._last_open(batch, start, open_to, may_be_created)
                if found is not None:
                    return found + 1
                together = CHUNK
            open_to = start
        return 0

    def _last_open(self, batch: BatchRecord, start: int, end: int, may_be_created: bool) -> int | None:
        """The index of the last item of these that is open."""
        ids = batch.item_ids(start, end)
        found = {record.request_id: record for record in self._table.get_many(ids, consistent=True)}
        for index in range(end - 1, start - 1, -1):
            record = found.get(ids[index - start])
            if record is not None and record.status in OPEN:
                return index
            if may_be_created and (record is None or record.ended_as_lost):
                return index
        return None
