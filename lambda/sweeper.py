"""The sweeper function: on a schedule, ends requests that no other function will end, and has webhooks sent that are
due."""

from __future__ import annotations

import os
from typing import Any

from inference.aws import clients
from inference.batches.finishing import Finishing
from inference.settings import SweeperSettings
from inference.store.batch_table import BatchTable
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.store.webhook_queue import WebhookQueue
from inference.sweep import STOP_BEFORE_TIMEOUT_MS, Sweeper
from inference.telemetry import Stopwatch, Telemetry, function_name, now_ms
from inference.webhooks.sweep import WebhookSweeper

DEAD_LETTER_QUEUE = "dlq"

settings = SweeperSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment, settings.pools)


def _queues(model: str) -> tuple[RequestQueue, ...]:
    url = settings.queue_url_prefix + settings.pools.get(model, model)
    return RequestQueue(clients.client("sqs"), url), RequestQueue(
        clients.client("sqs"), settings.queue_url_prefix + DEAD_LETTER_QUEUE
    )


table = RequestTable(clients.client("dynamodb"), settings.request_table, batch=1)  # it writes little
sweeper = Sweeper(
    table,
    settings.models,
    _queues,
    settings.sweep_grace_seconds * 1000,
    telemetry,
)
batches = BatchTable(clients.client("dynamodb"), settings.request_table)
webhook_sweeper = (
    WebhookSweeper(
        table,
        batches,
        Finishing(batches, table, telemetry),
        WebhookQueue(clients.client("sqs"), settings.webhook_queue_url),
        telemetry,
    )
    if settings.webhook_queue_url
    else None
)


def _time_left(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > STOP_BEFORE_TIMEOUT_MS)


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """One sweep."""
    telemetry.begin(invocation_id=context.aws_request_id)
    watch = Stopwatch()
    # First the webhooks: they are few, and a sweep of many requests may use up the time.
    ended = webhook_sweeper.sweep(now_ms, lambda: _time_left(context)) if webhook_sweeper else {}
    ended |= sweeper.sweep(now_ms, lambda: _time_left(context))
    telemetry.info("sweep_finished", duration_ms=watch.ms, **ended)
    telemetry.write_metrics()
    return ended
