"""The sweep of webhooks: sends a message for each that is due and has none.

    retrying, after a long delay                    the message was deleted when the attempt failed
    waiting, 15 minutes after it should have come   the relay was broken for too long, or the message was lost
    delivering or retrying, 15 minutes later        the message was lost, or is a dead letter

A batch is first looked at, whether it is final. A message too many does no harm: the deliverer looks at the record.
"""

from __future__ import annotations

from collections.abc import Callable

from inference.batches.finishing import Finishing
from inference.requests import FINAL
from inference.store.batch_table import BatchTable, batch_id_of_key
from inference.store.request_table import SHARDS, RequestTable
from inference.store.webhook_queue import WebhookMessage, WebhookQueue
from inference.telemetry import Telemetry
from inference.webhooks import transitions
from inference.webhooks.transitions import Announced


class WebhookSweeper:
    """Sweeps the index of due webhooks."""

    def __init__(
        self,
        table: RequestTable,
        batches: BatchTable,
        finishing: Finishing,
        queue: WebhookQueue,
        telemetry: Telemetry,
    ) -> None:
        self._table = table
        self._batches = batches
        self._finishing = finishing
        self._queue = queue
        self._telemetry = telemetry

    def sweep(self, clock: Callable[[], int], time_left: Callable[[], bool]) -> dict[str, int]:
        """Sweep until done or out of time (the next sweep continues). Returns the number of webhooks that a message was
        sent for.

        Raises:
            Unavailable: the table or its index could not be read.
        """
        sent = 0
        started = clock()
        for key in self._table.due_webhook_keys(started, first_shard=started % len(SHARDS)):
            if not time_left():
                self._telemetry.warning("webhook_sweep_incomplete", webhooks_sent=sent)
                break
            batch_id = batch_id_of_key(key)
            outcome = self._final_request(key) if batch_id is None else self._finishing.finished(batch_id, clock())
            now = clock()
            if outcome is None or outcome.webhook_due is None or outcome.webhook_due > now:
                continue  # the index is a moment behind, or it ends at the next sweep
            # First the message: a crash after it leaves the entry, and one message too many.
            message = WebhookMessage(outcome.id, outcome.webhook_url or "", of_batch=batch_id is not None)
            if missed := self._queue.send([message]):
                self._telemetry.error("webhook_not_queued", None, **message.named, reason=missed[0])
                continue
            update = transitions.postpone(outcome, now)
            if batch_id is None:
                self._table.apply([update])
            else:
                self._batches.apply(update)
            sent += 1
        return {"webhooks_sent": sent}

    def _final_request(self, request_id: str) -> Announced | None:
        record = self._table.get(request_id, consistent=True)
        return None if record is None or record.status not in FINAL else record
