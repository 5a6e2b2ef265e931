"""The batches function: makes the items of batches from uploaded files, and cancels those of large batches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from inference.aws import clients
from inference.batches.creation import Creation, FileLimits
from inference.catalog import Catalog, PackagedModels, packaged_validator
from inference.settings import BatchesSettings
from inference.store.batch_table import BatchTable
from inference.store.payloads import Payloads
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry, function_name, now_ms

STEP_MS = 40_000
"""No step begins with less time left: a hundred lines, with references to check or objects to write."""

LEASE_MARGIN_MS = 2_000

settings = BatchesSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment, settings.pools)


def _queue(model: str) -> RequestQueue:
    return RequestQueue(clients.client("sqs"), settings.queue_url_prefix + settings.pools.get(model, model))


creation = Creation(
    batches=BatchTable(clients.client("dynamodb"), settings.request_table),
    table=RequestTable(clients.client("dynamodb"), settings.request_table, telemetry=telemetry),
    queues=_queue,
    catalog=Catalog(
        settings.models, settings.default_model, PackagedModels(Path(__file__).parent / "manifests"), packaged_validator
    ),
    payloads=Payloads(clients.bucket(settings.payload_bucket), link_seconds=0, max_upload_bytes=0),  # it gives no links
    queue=RequestQueue(clients.client("sqs"), settings.batch_queue_url),
    limits=FileLimits(settings.max_batch_lines, settings.max_body_bytes, settings.max_body_depth),
    telemetry=telemetry,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process one SQS event of the batches function's queue."""
    telemetry.begin(invocation_id=context.aws_request_id)
    lease_until = now_ms() + context.get_remaining_time_in_millis() + LEASE_MARGIN_MS
    kept = creation.handle(
        event["Records"], lease_until, now_ms, lambda: context.get_remaining_time_in_millis() > STEP_MS
    )
    telemetry.write_metrics()
    return {"batchItemFailures": [{"itemIdentifier": name} for name in kept]}
