"""The relay function: from the table's stream to the deliverer's queue, for requests that became final with a
webhook."""

from __future__ import annotations

import os
from typing import Any

from inference.aws import clients
from inference.settings import RelaySettings
from inference.store.webhook_queue import WebhookQueue
from inference.telemetry import Telemetry, function_name
from inference.webhooks.relay import Relay

settings = RelaySettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment)
relay = Relay(WebhookQueue(clients.client("sqs"), settings.webhook_queue_url), telemetry)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process one event of the stream."""
    telemetry.begin(invocation_id=context.aws_request_id)
    missed = relay.handle(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": number} for number in missed]}
