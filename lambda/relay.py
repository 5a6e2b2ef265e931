"""The relay function: from the table's stream to the deliverer's queue, for requests and batches that became final with
a webhook."""

from __future__ import annotations

import os
from typing import Any

from inference.aws import clients
from inference.batches.finishing import Finishing
from inference.settings import RelaySettings
from inference.store.batch_table import BatchTable
from inference.store.request_table import RequestTable
from inference.store.webhook_queue import WebhookQueue
from inference.telemetry import Telemetry, function_name, now_ms
from inference.webhooks.relay import Relay

settings = RelaySettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment)
finishing = Finishing(
    BatchTable(clients.client("dynamodb"), settings.request_table),
    RequestTable(clients.client("dynamodb"), settings.request_table),
    telemetry,
)
relay = Relay(WebhookQueue(clients.client("sqs"), settings.webhook_queue_url), finishing, telemetry, now_ms)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process one event of the stream."""
    telemetry.begin(invocation_id=context.aws_request_id)
    missed = relay.handle(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": number} for number in missed]}
