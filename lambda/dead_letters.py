"""The dead_letters function: ends requests whose messages are in a dead-letter queue, within seconds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from inference.aws import clients
from inference.aws.log_reader import read_lines
from inference.dead_letter_handler import DeadLetterHandler
from inference.settings import DeadLettersSettings
from inference.store.batch_table import BatchTable
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry, function_name, now_ms

settings = DeadLettersSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment, settings.pools)


def _read_lines(group: str, invocation_id: str, since: int) -> Sequence[str]:
    return read_lines(
        clients.client("logs"), group, invocation_id, since, lambda error: telemetry.error("log_read_failed", error)
    )


dead_letter_handler = DeadLetterHandler(
    RequestTable(clients.client("dynamodb"), settings.request_table),
    BatchTable(clients.client("dynamodb"), settings.request_table),
    {name: settings.worker_log_group_prefix + settings.pools.get(name, name) for name in settings.models},
    _read_lines,
    telemetry,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process one SQS event of a dead-letter queue."""
    telemetry.begin(invocation_id=context.aws_request_id)
    kept = dead_letter_handler.handle(event["Records"], now_ms)
    telemetry.write_metrics()
    return {"batchItemFailures": [{"itemIdentifier": name} for name in kept]}
