"""The relay: from the table's stream to the deliverer's queue.

The filter of the event source mapping has let through what became final with a webhook, for which the relay sends a
message, and two kinds of changes that may be the end of a batch with a webhook: of an item that became final, and of
the batch itself. For those it checks whether the batch is final; the write that says so comes by the stream, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inference.batches.finishing import Finishing
from inference.errors import Unavailable
from inference.requests import BATCH
from inference.store.batch_table import batch_id_of_key
from inference.store.webhook_queue import WebhookMessage, WebhookQueue
from inference.telemetry import Telemetry


class Relay:
    """Handles the records of a stream's event. `clock` gives the time in epoch milliseconds."""

    def __init__(
        self, queue: WebhookQueue, finishing: Finishing, telemetry: Telemetry, clock: Callable[[], int]
    ) -> None:
        self._queue = queue
        self._finishing = finishing
        self._telemetry = telemetry
        self._clock = clock

    def handle(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns the sequence number of the first record that was not handled, if there is one: Lambda repeats the
        batch from there."""
        messages: dict[int, WebhookMessage] = {}
        checks: dict[str, int] = {}  # once each: a check reads after all writes of this event
        for index, record in enumerate(records):
            change = record["dynamodb"]
            if (batch_id := _batch_to_check(change)) is not None:
                checks.setdefault(batch_id, index)
            else:
                messages[index] = _message(change)
        missed = sorted(self._send(messages) + self._check(checks))
        return [records[missed[0]]["dynamodb"]["SequenceNumber"]] if missed else []

    def _send(self, messages: Mapping[int, WebhookMessage]) -> list[int]:
        if not messages:
            return []
        indexes, sent = list(messages), list(messages.values())
        missed = self._queue.send(sent)
        for place, reason in missed.items():
            self._telemetry.error("webhook_not_queued", None, **sent[place].named, reason=reason)
        return [indexes[place] for place in missed]

    def _check(self, checks: Mapping[str, int]) -> list[int]:
        missed = []
        for batch_id, index in checks.items():
            try:
                self._finishing.finished(batch_id, self._clock())
            except Unavailable as error:
                self._telemetry.error("batch_not_checked", error, batch_id=batch_id)
                missed.append(index)
        return missed


def _batch_to_check(change: Mapping[str, Any]) -> str | None:
    image = change["NewImage"]
    if image.get("webhook_of", {}).get("S") == BATCH:
        return str(image["batch_id"]["S"])
    return None if "finished_at" in image else batch_id_of_key(change["Keys"]["request_id"]["S"])


def _message(change: Mapping[str, Any]) -> WebhookMessage:
    url = change["NewImage"].get("webhook_url", {}).get("S", "")
    key = change["Keys"]["request_id"]["S"]
    batch_id = batch_id_of_key(key)
    return WebhookMessage(key, url) if batch_id is None else WebhookMessage(batch_id, url, of_batch=True)
