"""The worker function: SQS event in, failed message ids out. A single model is loaded when Lambda starts the process,
the models of a pool when they are first used."""

from __future__ import annotations

import gc

# Objects made during INIT stay alive: garbage collection while importing takes a tenth of a cold start and finds
# nothing.
gc.disable()

import os
from pathlib import Path
from typing import Any

from inference import snapshot, warmer
from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.catalog import Validate, packaged_validator
from inference.settings import WorkerSettings
from inference.store.payloads import Bucket
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry, function_name, now_ms
from worker.batch import Worker
from worker.direct import open_model
from worker.invocation import Invocation, RetryDelay
from worker.loading import LoadableModel
from worker.memory import BUDGET, ModelMemory
from worker.model.loaded import threads_for
from worker.payloads import WorkerPayloads
from worker.prediction import Prediction

INITIALIZED_AHEAD = ("provisioned-concurrency", "snap-start")
"""Initialization types whose INIT runs during the deployment: a load that fails must fail the deployment."""

PAYLOAD_READ_SECONDS = 60
"""For sending the whole of a file, and for each wait for a part of one."""

settings = WorkerSettings.from_environment(os.environ)
telemetry = Telemetry(
    function_name(),
    settings.log_level,
    settings.metrics_environment,
    dict.fromkeys(settings.models, settings.pool) if settings.pool else None,
)
deadline = Deadline()

memory_mb = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"))
memory = ModelMemory(int(memory_mb * 2**20 * BUDGET), telemetry)


def _model(name: str, source: str) -> LoadableModel:
    return open_model(
        Path(__file__).parent / "models" / source,
        telemetry,
        memory,
        name=name,
        artifact=settings.model_artifacts.get(name),
        threads=threads_for(memory_mb),
        s3_client=lambda: clients.client("s3"),
    )


def _validator(source: str) -> Validate:
    return lambda value: packaged_validator(source)(value)  # imported with the model's first request


models = {name: _model(name, source) for name, source in settings.models.items()}
single = next(iter(models.values())) if len(models) == 1 else None
if single:  # the models of a pool are loaded when they are first used
    single.start(required=os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in INITIALIZED_AHEAD)
    packaged_validator(settings.models[single.name])


def _bucket(name: str) -> Bucket:
    return clients.bucket(name, deadline, PAYLOAD_READ_SECONDS)


payloads = WorkerPayloads(_bucket(settings.payload_bucket), _bucket)
worker = Worker(
    {name: Prediction(model, _validator(settings.models[name]), telemetry, payloads) for name, model in models.items()},
    RequestTable(clients.lean_client("dynamodb", deadline), settings.request_table, telemetry=telemetry),
    RequestQueue(clients.lean_client("sqs", deadline), settings.queue_url),
    RetryDelay(settings.retry_base_seconds, settings.retry_max_seconds),
    settings.code_digest,
    telemetry,
    payloads,
    deadline,
)
snapshot.register(telemetry)
gc.freeze()  # these objects live as long as the process: collections need not look at them
gc.enable()


def _load_single() -> None:
    """Load a single model that the start could not load; the models of a pool are loaded for requests only."""
    if single:
        single.begin_invocation()
        single.start(required=False)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one SQS event."""
    if warmer.PING in event:
        return warmer.answer_ping(event, context, telemetry, _load_single)
    telemetry.begin(invocation_id=context.aws_request_id, **({"model": single.name} if single else {}))
    telemetry.count_cold_start(next(iter(models)))
    deadline.start(context.get_remaining_time_in_millis() / 1000)
    for model in models.values():
        model.begin_invocation()
    invocation = Invocation(context.aws_request_id, context.get_remaining_time_in_millis, now_ms)
    failed = worker.process(event["Records"], invocation)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
