"""The intake function: from events about objects in S3 to requests of the models of a trigger."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from inference.aws import clients
from inference.catalog import Catalog, PackagedModels, packaged_validator
from inference.intake.intake import Intake
from inference.service import Limits
from inference.settings import IntakeSettings
from inference.store.batch_table import BatchTable
from inference.store.payloads import Payloads
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry, function_name, now_ms

settings = IntakeSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment, settings.pools)


def _queue(model: str) -> RequestQueue:
    return RequestQueue(clients.client("sqs"), settings.queue_url_prefix + settings.pools.get(model, model))


intake = Intake(
    triggers=settings.triggers,
    batches=BatchTable(clients.client("dynamodb"), settings.request_table),
    table=RequestTable(clients.client("dynamodb"), settings.request_table, telemetry=telemetry),
    queues=_queue,
    catalog=Catalog(
        settings.models, settings.default_model, PackagedModels(Path(__file__).parent / "manifests"), packaged_validator
    ),
    limits=Limits(settings.max_attempts, settings.request_deadline_seconds, settings.retention_seconds),
    payloads=Payloads(clients.bucket(settings.payload_bucket), link_seconds=0, max_upload_bytes=0),  # it gives no links
    memory_mb=settings.memory_mb,
    webhook_url=settings.webhooks.default_url if settings.webhooks else None,
    queue=RequestQueue(clients.client("sqs"), settings.intake_queue_url),
    telemetry=telemetry,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process one SQS event of the intake's queue."""
    telemetry.begin(invocation_id=context.aws_request_id)
    kept = intake.handle(event["Records"], now_ms)
    telemetry.write_metrics()
    return {"batchItemFailures": [{"itemIdentifier": name} for name in kept]}
