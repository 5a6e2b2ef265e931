"""The api function: HTTP in, records and messages out. What it answers is described in openapi.json."""

from __future__ import annotations

import gc

gc.disable()  # what is imported stays: collections would only look at it again and again

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import snapshot, warmer
from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.catalog import Catalog, PackagedModels, packaged_validator
from inference.description import describe, iso_time, summarize
from inference.errors import InvalidUpload, RequestError, Unavailable, UnknownRequest
from inference.http.caching import respond_cacheable
from inference.http.documents import Documents
from inference.http.messages import (
    HttpRequest,
    UnknownRoute,
    idempotency_key,
    read_body,
    read_event,
    require_json,
    respond,
)
from inference.http.preferences import wait_seconds
from inference.http.problems import respond_problem
from inference.http.queries import next_url, read_list_query
from inference.listing import Listing
from inference.references import reference_to
from inference.requests import FINAL, Record
from inference.service import Limits, Service
from inference.settings import ApiSettings
from inference.store.caller_index import CallerIndex
from inference.store.payloads import Payloads
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.strict_json import parse_input
from inference.telemetry import Stopwatch, Telemetry, function_name, function_version, now_ms
from inference.webhooks.options import chosen_url

if TYPE_CHECKING:
    from inference.batches.service import Batches
    from inference.http.batches import BatchRoutes

settings = ApiSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment, settings.pools)
deadline = Deadline()

FIRST_ERROR = 400
"""HTTP statuses from here on are errors."""

MAX_UPLOAD_BODY_BYTES = 4_096
"""Of the body of POST /uploads, which has a type and a size."""


def _queue(model: str) -> RequestQueue:
    url = settings.queue_url_prefix + settings.pools.get(model, model)
    return RequestQueue(clients.lean_client("sqs", deadline), url)


catalog = Catalog(
    settings.models, settings.default_model, PackagedModels(Path(__file__).parent / "manifests"), packaged_validator
)
_dynamodb = clients.lean_client("dynamodb", deadline)
_table = RequestTable(_dynamodb, settings.request_table, telemetry=telemetry)
_limits = Limits(settings.max_attempts, settings.request_deadline_seconds, settings.retention_seconds)
_webhook_url = settings.webhooks.default_url if settings.webhooks else None
payloads = Payloads(clients.bucket(settings.payload_bucket, deadline), settings.link_seconds, settings.max_upload_bytes)
service = Service(
    table=_table,
    queues=_queue,
    catalog=catalog,
    listing=Listing(CallerIndex(_dynamodb, settings.request_table), _table),
    limits=_limits,
    payloads=payloads,
    deadline=deadline,
    webhook_url=_webhook_url,
)


def _described_models() -> list[dict[str, Any]]:
    found = {name: catalog.packaged(name) for name in catalog.names}
    memory_mb = {**{name: model.memory_mb for name, model in found.items()}, **settings.deployed.memory_mb}
    return [
        {**service.model(name), "memory_mb": memory_mb[name], "input_files": model.input_files}
        for name, model in found.items()
    ]


_described_limits = {
    "max_body_bytes": settings.max_body_bytes,
    "max_upload_bytes": settings.max_upload_bytes,
    "max_batch_items": settings.max_batch_items,
}
documents = Documents(
    Path(__file__).parent, settings.deployed, _described_models, _described_limits, payloads.uploads_url
)


@cache
def batches() -> Batches:
    """Made with the first call about a batch, as its routes are: most starts are for a single request."""
    from inference.batches.service import Batches
    from inference.store.batch_queue import BatchQueue
    from inference.store.batch_table import BatchTable

    return Batches(
        batches=BatchTable(_dynamodb, settings.request_table),
        table=_table,
        queues=_queue,
        catalog=catalog,
        limits=_limits,
        payloads=payloads,
        queue=BatchQueue(clients.lean_client("sqs", deadline), settings.batch_queue_url),
        max_items=settings.max_batch_items,
        deadline=deadline,
        webhook_url=_webhook_url,
    )


@cache
def _batch_routes() -> BatchRoutes:
    from inference.http.batches import BatchRoutes

    limits = settings.max_body_bytes, settings.max_body_depth
    return BatchRoutes(batches(), payloads, telemetry, *limits, settings.webhooks, now_ms)


snapshot.register(telemetry)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one HTTP request."""
    if warmer.PING in event:
        return warmer.answer_ping(event, context, telemetry)
    watch = Stopwatch()
    deadline.start(context.get_remaining_time_in_millis() / 1000)
    invocation_id = getattr(context, "aws_request_id", None)
    telemetry.begin(invocation_id=invocation_id)
    telemetry.count_cold_start()
    request = None
    try:
        request = read_event(event, by_session=settings.caller_identity == "session")
        response = ROUTES.get(request.route, _no_route)(request)
    except RequestError as error:
        response = respond_problem(error)
    except Unavailable as error:
        telemetry.error("service_unavailable", error)
        response = respond_problem(error)
    except Exception as error:
        telemetry.error("unhandled_error", error, route=event.get("routeKey"))
        named = {"request_id": request.path["request_id"]} if request and "request_id" in request.path else {}
        response = respond_problem(error, invocation_id=invocation_id, **named)
    _log_response(str(event.get("routeKey")), int(response["statusCode"]), watch.ms)
    telemetry.write_metrics()
    return response


def _log_response(route: str, status: int, duration_ms: float) -> None:
    """What was read leaves no line, since status queries are most of the calls; API Gateway's access log has them."""
    if route.startswith("GET ") and status < FIRST_ERROR:
        telemetry.debug("response_sent", route=route, status=status, duration_ms=duration_ms)
    else:
        telemetry.info("response_sent", route=route, status=status, duration_ms=duration_ms)


def _submit(request: HttpRequest) -> dict[str, Any]:
    require_json(request)
    key = idempotency_key(request)
    webhook = chosen_url(request.headers.get("webhook-url"), request.query.get("webhook"), settings.webhooks)
    value = parse_input(read_body(request), settings.max_body_bytes, settings.max_body_depth)
    record = service.submit(request.path.get("model"), value, request.caller, now_ms(), key, webhook)
    telemetry.identify(request_id=record.request_id, model=record.model)
    poll_url = f"/status/{record.request_id}"
    headers = {"Location": poll_url}
    record = _wait(request, record, headers)
    now = now_ms()
    if "Preference-Applied" in headers and record.status_at(now) in FINAL:
        return respond(200, describe(record, now, payloads.links(record, now)), headers)
    headers["Retry-After"] = str(service.poll_after(record, now) or 1)
    body = {"request_id": record.request_id, "status": "pending", "model": record.model, "poll_url": poll_url}
    return respond(202, body, headers)


def _status(request: HttpRequest) -> dict[str, Any]:
    headers: dict[str, str] = {}
    try:
        record = service.status(request.path["request_id"], request.caller, now_ms())
    except UnknownRequest:
        parent = _batch_routes().show_parent(request)
        if parent is None:
            raise
        return parent
    record = _wait(request, record, headers)
    now = now_ms()
    poll_after = service.poll_after(record, now)
    if poll_after is not None:
        headers["Retry-After"] = str(poll_after)
    body = describe(record, now, payloads.links(record, now))
    return respond_cacheable(request, record, body, headers, now, settings.link_seconds)


def _wait(request: HttpRequest, record: Record, headers: dict[str, str]) -> Record:
    """Wait for a request to be final, if the client prefers that, and say so in the headers."""
    seconds = wait_seconds(request, settings.max_wait_seconds)
    if not seconds:
        return record
    headers["Preference-Applied"] = f"wait={seconds}"
    return service.wait(record, seconds, now_ms)


def _cancel(request: HttpRequest) -> dict[str, Any]:
    now = now_ms()
    record = service.cancel(request.path["request_id"], request.caller, now)
    telemetry.info("request_cancelled", request_id=record.request_id, model=record.model)
    if record.finished_at == now:  # by this call; cancelling it again changes nothing
        telemetry.count_outcome(record.model, record.status)
    return respond(200, describe(record, now))


def _resend_webhook(request: HttpRequest) -> dict[str, Any]:
    now = now_ms()
    record = service.resend_webhook(request.path["request_id"], request.caller, now)
    telemetry.info("webhook_resent", request_id=record.request_id, model=record.model)
    return respond(202, describe(record, now, payloads.links(record, now)))


def _requests(request: HttpRequest) -> dict[str, Any]:
    now = now_ms()
    query = read_list_query(request)
    page = service.requests(request.caller, query.wanted, query.limit, query.after, now)
    next_page = next_url(request, page.next) if page.next else None
    return respond(200, {"requests": [summarize(record, now) for record in page.records], "next": next_page})


def _health(_: HttpRequest) -> dict[str, Any]:
    models = {model["name"]: model["version"] for model in service.models()}
    return respond(200, {"status": "ok", "version": function_version(), "models": models})


def _models(_: HttpRequest) -> dict[str, Any]:
    return respond(200, {"models": service.models()})


def _model(request: HttpRequest) -> dict[str, Any]:
    model = service.model(request.path["model"])
    sync_url = f"/models/{model['name']}/predict" if model["name"] in settings.deployed.sync else None
    return respond(200, {**model, "sync_url": sync_url})


def _erase(request: HttpRequest) -> dict[str, Any]:
    record = service.erase(request.path["request_id"], request.caller, now_ms())
    telemetry.info("request_erased", request_id=record.request_id, model=record.model)
    return respond(200, {"request_id": record.request_id})


def _upload(request: HttpRequest) -> dict[str, Any]:
    require_json(request)
    wanted = parse_input(read_body(request), MAX_UPLOAD_BODY_BYTES, settings.max_body_depth)
    if not isinstance(wanted, dict) or wanted.keys() - {"content_type", "bytes"}:
        raise InvalidUpload("The body must be an object with 'content_type' and 'bytes', and nothing else.")
    upload = payloads.new_upload(request.caller, wanted.get("content_type"), wanted.get("bytes"), now_ms())
    telemetry.info("upload_created", upload_id=upload.upload_id, bytes=wanted["bytes"])
    body = {
        "upload_id": upload.upload_id,
        "reference": reference_to(upload.upload_id),
        "method": "PUT",
        "url": upload.link.url,
        "headers": upload.link.headers,
        "expires_at": iso_time(upload.expires_at),
    }
    return respond(201, body)


def _openapi(request: HttpRequest) -> dict[str, Any]:
    return documents.openapi(request)


def _docs(request: HttpRequest) -> dict[str, Any]:
    return documents.page(request)


def _no_route(request: HttpRequest) -> dict[str, Any]:
    raise UnknownRoute(f"The API has no route '{request.route[:64]}'.")


ROUTES: dict[str, Callable[[HttpRequest], dict[str, Any]]] = {
    "POST /predict": _submit,
    "POST /predict/{model}": _submit,
    "GET /status/{request_id}": _status,
    "POST /cancel/{request_id}": _cancel,
    "POST /requests/{request_id}/webhook": _resend_webhook,
    "POST /batch": lambda request: _batch_routes().submit(request),
    "POST /batch/{model}": lambda request: _batch_routes().submit(request),
    "GET /batches/{batch_id}": lambda request: _batch_routes().show(request),
    "POST /batches/{batch_id}/cancel": lambda request: _batch_routes().cancel(request),
    "POST /batches/{batch_id}/webhook": lambda request: _batch_routes().resend_webhook(request),
    "GET /requests": _requests,
    "GET /models": _models,
    "GET /models/{model}": _model,
    "GET /health": _health,
    "DELETE /requests/{request_id}": _erase,
    "POST /uploads": _upload,
    "GET /openapi.json": _openapi,
    "GET /docs": _docs,
}

gc.freeze()  # these objects live as long as the process
gc.enable()
