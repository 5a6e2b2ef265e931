"""The dispatcher function: SQS event in, failed message ids out. Its models run at GPU providers."""

from __future__ import annotations

import os
from typing import Any

from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.settings import DispatcherSettings
from inference.store.payloads import Bucket
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry, function_name, now_ms
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.setup import PAYLOAD_READ_SECONDS, backend_models
from worker.invocation import Invocation, RetryDelay
from worker.payloads import WorkerPayloads

settings = DispatcherSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment)
deadline = Deadline()


def _bucket(name: str) -> Bucket:
    return clients.bucket(name, deadline, PAYLOAD_READ_SECONDS)


dispatcher = Dispatcher(
    backend_models(settings.models, settings.backends, deadline),
    settings.api_url,
    RequestTable(clients.lean_client("dynamodb", deadline), settings.request_table, telemetry=telemetry),
    RequestQueue(clients.lean_client("sqs", deadline), settings.queue_url),
    RetryDelay(settings.retry_base_seconds, settings.retry_max_seconds),
    settings.code_digest,
    telemetry,
    WorkerPayloads(_bucket(settings.payload_bucket), _bucket),
    deadline,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one SQS event."""
    telemetry.begin(invocation_id=context.aws_request_id)
    telemetry.count_cold_start(next(iter(settings.models)))
    deadline.start(context.get_remaining_time_in_millis() / 1000)
    invocation = Invocation(context.aws_request_id, context.get_remaining_time_in_millis, now_ms)
    failed = dispatcher.process(event["Records"], invocation)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
