"""The worker function: SQS event in, failed message ids out. The model is loaded when Lambda starts the process."""

from __future__ import annotations

import gc

# Objects made during INIT stay alive: garbage collection while importing takes a tenth of a cold start and finds
# nothing.
gc.disable()

import os
import tempfile
from pathlib import Path
from typing import Any

from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.catalog import packaged_validator
from inference.settings import WorkerSettings
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry, function_name, now_ms
from worker.batch import Worker
from worker.invocation import Invocation, RetryDelay
from worker.loading import LoadableModel
from worker.model import load
from worker.model.loaded import LoadedModel, threads_for

INITIALIZED_AHEAD = ("provisioned-concurrency", "snap-start")
"""Initialization types whose INIT runs during the deployment: a load that fails must fail the deployment."""

settings = WorkerSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment)
deadline = Deadline()

source = Path(__file__).parent / "models" / settings.model_source


def _load() -> LoadedModel:
    return load(
        source,
        artifact=settings.model_artifact or None,
        threads=threads_for(int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"))),
        s3_client=lambda: clients.client("s3"),
    )


load_marker = Path(tempfile.gettempdir()) / f"{function_name()}-model-loading"
model = LoadableModel(settings.model, source / "manifest.json", _load, load_marker, telemetry)
model.start(required=os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in INITIALIZED_AHEAD)
worker = Worker(
    model,
    packaged_validator(settings.model_source),
    RequestTable(clients.lean_client("dynamodb", deadline), settings.request_table, telemetry=telemetry),
    RequestQueue(clients.lean_client("sqs", deadline), settings.queue_url),
    RetryDelay(settings.retry_base_seconds, settings.retry_max_seconds),
    telemetry,
    deadline,
)
gc.freeze()  # these objects live as long as the process: collections need not look at them
gc.enable()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one SQS event."""
    telemetry.begin(invocation_id=context.aws_request_id, model=settings.model)
    telemetry.count_cold_start(settings.model)
    deadline.start(context.get_remaining_time_in_millis() / 1000)
    model.begin_invocation()
    invocation = Invocation(context.aws_request_id, context.get_remaining_time_in_millis, now_ms)
    failed = worker.process(event["Records"], invocation)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
