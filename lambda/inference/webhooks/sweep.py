"""The sweep of webhooks: sends a message for each that is due and has none.

    retrying, after a long delay                    the message was deleted when the attempt failed
    waiting, 15 minutes after it should have come   the relay was broken for too long, or the message was lost
    delivering or retrying, 15 minutes later        the message was lost, or is a dead letter

A message too many does no harm: the deliverer looks at the record.
"""

from __future__ import annotations

from collections.abc import Callable

from inference.requests import FINAL
from inference.store.request_table import SHARDS, RequestTable
from inference.store.webhook_queue import WebhookMessage, WebhookQueue
from inference.telemetry import Telemetry
from inference.webhooks import transitions


class WebhookSweeper:
    """Sweeps the index of due webhooks."""

    def __init__(self, table: RequestTable, queue: WebhookQueue, telemetry: Telemetry) -> None:
        self._table = table
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
        for request_id in self._table.due_webhook_ids(started, first_shard=started % len(SHARDS)):
            if not time_left():
                self._telemetry.warning("webhook_sweep_incomplete", webhooks_sent=sent)
                break
            record = self._table.get(request_id, consistent=True)
            now = clock()
            if record is None or record.webhook_due is None or record.webhook_due > now or record.status not in FINAL:
                continue  # the index is a moment behind, or the request ends at the next sweep
            # First the message: a crash after it leaves the entry, and one message too many.
            if missed := self._queue.send([WebhookMessage(request_id, record.webhook_url or "")]):
                self._telemetry.error("webhook_not_queued", request_id=request_id, reason=missed[0])
                continue
            self._table.apply([transitions.postpone(record, now)])
            sent += 1
        return {"webhooks_sent": sent}
