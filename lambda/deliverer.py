"""The deliverer function: sends the webhooks of final requests and batches, with retries over a day."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from inference.aws import clients
from inference.batches.counting import Counting
from inference.requests import Record
from inference.settings import DelivererSettings
from inference.store.batch_table import BatchTable
from inference.store.payloads import file_links
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.store.webhook_queue import WebhookQueue
from inference.telemetry import Telemetry, function_name, now_ms
from inference.webhooks.deliverer import Deliverer
from inference.webhooks.outcomes import Batches, Requests
from inference.webhooks.secrets import Secrets
from inference.webhooks.sender import Sender

LEASE_MARGIN_MS = 2_000

settings = DelivererSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment, settings.pools)
table = RequestTable(clients.client("dynamodb"), settings.request_table)
batches = BatchTable(clients.client("dynamodb"), settings.request_table)


def _links(record: Record, now: int) -> Sequence[Mapping[str, Any]]:
    return file_links(clients.bucket(settings.payload_bucket), record, settings.link_seconds, now)


deliverer = Deliverer(
    Requests(table, _links),
    Batches(batches, Counting(batches, table), _links),
    Sender(settings.webhooks.allow_loopback),
    Secrets(settings.webhook_secret_arn, clients.client),
    RequestQueue(clients.client("sqs"), settings.webhook_queue_url),
    WebhookQueue(clients.client("sqs"), settings.webhook_dead_letter_queue_url),
    telemetry,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process one SQS event of the deliverer's queue."""
    telemetry.begin(invocation_id=context.aws_request_id)
    lease_until = now_ms() + context.get_remaining_time_in_millis() + LEASE_MARGIN_MS
    kept = deliverer.handle(event["Records"], lease_until, now_ms)
    telemetry.write_metrics()
    return {"batchItemFailures": [{"itemIdentifier": name} for name in kept]}
