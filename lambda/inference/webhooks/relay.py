"""The relay: from the table's stream to the deliverer's queue.

It decides nothing: the filter of the event source mapping has let through what became final with a webhook, and the
deliverer reads the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inference.store.webhook_queue import WebhookMessage, WebhookQueue
from inference.telemetry import Telemetry


class Relay:
    """Sends a message for each record of a stream's event."""

    def __init__(self, queue: WebhookQueue, telemetry: Telemetry) -> None:
        self._queue = queue
        self._telemetry = telemetry

    def handle(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns the sequence number of the first record whose message was not sent, if there is one: Lambda repeats
        the batch from there."""
        missed = self._queue.send([_message(record["dynamodb"]) for record in records])
        for index, reason in missed.items():
            request_id = records[index]["dynamodb"]["Keys"]["request_id"]["S"]
            self._telemetry.error("webhook_not_queued", request_id=request_id, reason=reason)
        return [records[min(missed)]["dynamodb"]["SequenceNumber"]] if missed else []


def _message(change: Mapping[str, Any]) -> WebhookMessage:
    url = change.get("NewImage", {}).get("webhook_url", {}).get("S", "")
    return WebhookMessage(change["Keys"]["request_id"]["S"], url)
