"""The synchronous function: HTTP API events in, responses out, by the app that is also the server's.

A single model is loaded when Lambda starts the process, the models of a pool when they are first used or by a ping of
the warmer. A pass that does not end in time is answered, and can't be stopped: Lambda freezes it with the process. If
it does not end soon in the next invocation, the process exits, so that Lambda starts another one.
"""

from __future__ import annotations

import gc

# As in worker/handler.py: collections while importing find nothing.
gc.disable()

import os
from typing import Any

from fastapi import Request
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from inference import snapshot, warmer
from inference.aws import clients
from inference.catalog import packaged_validator
from inference.settings import SyncSettings
from inference.telemetry import Telemetry, function_name
from worker.memory import BUDGET, ModelMemory
from worker.model.loaded import threads_for
from worker.sync.app import create_app
from worker.sync.lane import Lane
from worker.sync.models import description_of, open_models, predictions_of
from worker.sync.predictions import Limits, Predictions

INITIALIZED_AHEAD = ("provisioned-concurrency", "snap-start")
"""Initialization types whose INIT runs during the deployment: a load that fails must fail the deployment."""

MARGIN_SECONDS = 1.5
"""A call is answered with a timeout this long before Lambda would stop the process."""

GRACE_SECONDS = 2.0
"""How long an invocation waits for a pass that an earlier one has given up."""

MAX_RESPONSE_BYTES = 6_000_000
"""Lambda takes a response of 6 MB as JSON, with the body as a text in it."""

settings = SyncSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level)
memory_mb = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"))

models = open_models(
    settings.models,
    settings.model_artifacts,
    telemetry,
    ModelMemory(int(memory_mb * 2**20 * BUDGET), telemetry),
    threads_for(memory_mb),
    lambda: clients.client("s3"),
)
single = next(iter(models.values())) if len(models) == 1 else None
if single:
    single.start(required=os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in INITIALIZED_AHEAD)
    packaged_validator(settings.models[single.name])


def _seconds(request: Request) -> float:
    return float(request.scope["aws.context"].get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS)


limits = Limits(settings.max_body_bytes, settings.max_body_depth, settings.max_batch_items, MAX_RESPONSE_BYTES)
lane = Lane(max_waiting=1)
app = create_app(
    Predictions(predictions_of(models, settings.models, telemetry), lane, limits, async_url=""),
    telemetry,
    _seconds,
    lambda: description_of(settings.models, {"max_body_bytes": settings.max_body_bytes}),
)
answer = Mangum(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/problem+json"])
snapshot.register(telemetry)
gc.freeze()
gc.enable()


def _load_all() -> None:
    for model in models.values():
        model.begin_invocation()
        model.start(required=False)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one HTTP request, or a ping."""
    if warmer.PING in event:
        return warmer.answer_ping(event, context, telemetry, _load_all)
    telemetry.begin(invocation_id=context.aws_request_id)
    if not lane.wait_until_free(GRACE_SECONDS):
        telemetry.error("process_replaced", reason="an earlier pass, which was answered with a timeout, still runs")
        os._exit(1)
    return answer(event, context)
