"""The api function: HTTP in, records and messages out.

POST /predict, POST /predict/{model}   202   accept a request
GET  /status/{request_id}              200   tell where it stands
POST /cancel/{request_id}              200   cancel it
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from inference import aws
from inference.catalog import Catalog, packaged_validator, packaged_versions
from inference.deadline import Deadline
from inference.errors import Refused, Unavailable
from inference.http import HttpRequest, idempotency_key, read_event, require_json, respond, respond_problem
from inference.payloads import parse_input
from inference.request_queue import RequestQueue
from inference.request_table import RequestTable
from inference.service import Limits, Service, describe, retry_after
from inference.settings import ApiSettings
from inference.telemetry import Stopwatch, Telemetry, function_name, now_ms

RETRY_AFTER_UNAVAILABLE_SECONDS = 2

settings = ApiSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level)
deadline = Deadline()
service = Service(
    table=RequestTable(aws.lean_client("dynamodb", deadline), settings.request_table),
    queues=lambda model: RequestQueue(aws.lean_client("sqs", deadline), settings.queue_url_prefix + model),
    catalog=Catalog(
        settings.models, settings.default_model, packaged_versions(Path(__file__).parent), packaged_validator
    ),
    limits=Limits(settings.max_attempts, settings.request_deadline_seconds, settings.retention_seconds),
    deadline=deadline,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one HTTP request."""
    watch = Stopwatch()
    deadline.start(context.get_remaining_time_in_millis() / 1000)
    invocation_id = getattr(context, "aws_request_id", None)
    telemetry.begin(invocation_id=invocation_id)
    try:
        request = read_event(event, by_session=settings.caller_identity == "session")
        response = ROUTES.get(request.route, _no_route)(request)
    except Refused as refused:
        response = respond_problem(refused)
    except Unavailable as error:
        telemetry.error("unavailable", error)
        detail = (
            "AWS did not answer in time, or refused for now. Send it again; with an Idempotency-Key a submit is never "
            "accepted twice."
        )
        headers = {"Retry-After": str(RETRY_AFTER_UNAVAILABLE_SECONDS)}
        response = respond_problem(Refused(503, "Unavailable", detail, headers))
    except Exception as error:
        telemetry.error("request_crashed", error, route=event.get("routeKey"))
        detail = (
            "The API failed on this request; its log says why, under this invocation_id. A submit may have been "
            "accepted all the same: repeat it with the same Idempotency-Key."
        )
        response = respond_problem(Refused(500, "Internal error", detail, invocation_id=invocation_id))
    telemetry.info("answered", route=event.get("routeKey"), status=response["statusCode"], duration_ms=watch.ms)
    return response


def _submit(request: HttpRequest) -> dict[str, Any]:
    require_json(request)
    key = idempotency_key(request)
    value = parse_input(request.body, settings.max_body_bytes, settings.max_body_depth)
    record = service.submit(request.path.get("model"), value, request.caller, now_ms(), key)
    telemetry.info("request_accepted", request_id=record.request_id, model=record.model)
    poll_url = f"/status/{record.request_id}"
    body = {"request_id": record.request_id, "status": "pending", "model": record.model, "poll_url": poll_url}
    return respond(202, body, {"Location": poll_url, "Retry-After": "1"})


def _status(request: HttpRequest) -> dict[str, Any]:
    now = now_ms()
    record = service.status(request.path["request_id"], request.caller, now)
    wait = retry_after(record, now)
    return respond(200, describe(record, now), {} if wait is None else {"Retry-After": str(wait)})


def _cancel(request: HttpRequest) -> dict[str, Any]:
    now = now_ms()
    record = service.cancel(request.path["request_id"], request.caller, now)
    telemetry.info("request_cancelled", request_id=record.request_id, model=record.model)
    return respond(200, describe(record, now))


def _no_route(request: HttpRequest) -> dict[str, Any]:
    raise Refused(404, "No such route", f"The API has no route '{request.route[:64]}'.")


ROUTES = {
    "POST /predict": _submit,
    "POST /predict/{model}": _submit,
    "GET /status/{request_id}": _status,
    "POST /cancel/{request_id}": _cancel,
}
