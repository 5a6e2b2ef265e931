"""The routes of batches: reads a call, calls one function of the rules, and responds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inference.batches.counting import Shown
from inference.batches.description import describe_batch, poll_batch_after
from inference.batches.parent import describe_parent
from inference.batches.record import BatchRecord
from inference.batches.service import Batches
from inference.errors import InvalidBatch, UnknownBatch
from inference.http.caching import respond_unless_unchanged
from inference.http.messages import HttpRequest, idempotency_key, read_body, require_json, respond
from inference.http.queries import read_page_query
from inference.references import is_reference, upload_id_of
from inference.requests import OPEN, Status
from inference.store.payloads import Payloads
from inference.strict_json import parse_input
from inference.telemetry import Telemetry
from inference.webhooks.options import WebhookOptions, chosen_url

ENVELOPE_DEPTH = 2
"""The levels that a body has above each item."""


class BatchRoutes:
    """Answers calls of batches.

    Args:
        max_body_bytes: of a whole batch.
        max_body_depth: of each item.
        webhooks: None where the deployment has none.
        clock: gives the time in epoch milliseconds.
    """

    def __init__(
        self,
        batches: Batches,
        payloads: Payloads,
        telemetry: Telemetry,
        max_body_bytes: int,
        max_body_depth: int,
        webhooks: WebhookOptions | None,
        clock: Callable[[], int],
    ) -> None:
        self._batches = batches
        self._payloads = payloads
        self._telemetry = telemetry
        self._max_body_bytes = max_body_bytes
        self._max_body_depth = max_body_depth
        self._webhooks = webhooks
        self._clock = clock

    def submit(self, request: HttpRequest) -> dict[str, Any]:
        """POST /batch, POST /batch/{model}."""
        require_json(request)
        key = idempotency_key(request)
        webhook = chosen_url(request.headers.get("webhook-url"), request.query.get("webhook"), self._webhooks)
        body = parse_input(read_body(request), self._max_body_bytes, self._max_body_depth + ENVELOPE_DEPTH)
        items = body["items"] if isinstance(body, dict) and body.keys() == {"items"} else None
        model, now = request.path.get("model"), self._clock()
        if is_reference(items):
            upload_id = upload_id_of(items)
            return self._accepted(self._batches.submit_file(model, upload_id, request.caller, now, key, webhook))
        if not isinstance(items, list):
            detail = "The body must be an object with 'items', a list of inputs or a reference to an upload"
            raise InvalidBatch(f"{detail}, and nothing else.")
        return self._accepted(self._batches.submit(model, items, request.caller, now, key, webhook))

    def _accepted(self, batch: BatchRecord) -> dict[str, Any]:
        self._telemetry.info(
            "batch_accepted", batch_id=batch.batch_id, model=batch.model, items=batch.total, upload_id=batch.upload
        )
        poll_url = f"/batches/{batch.batch_id}"
        answer: dict[str, Any] = {"batch_id": batch.batch_id, "model": batch.model, "poll_url": poll_url}
        if batch.upload is None:
            ids = batch.item_ids(0, batch.total)
            answer |= {"status": "running", "total": batch.total, "request_ids": ids}
        else:
            answer |= {"status": "checking", "total": None, "request_ids": None}
        return respond(202, answer, {"Location": poll_url, "Retry-After": "1"})

    def show(self, request: HttpRequest) -> dict[str, Any]:
        """GET /batches/{batch_id}."""
        start, limit = read_page_query(request)
        now = self._clock()
        batch = self._batches.get(request.path["batch_id"], request.caller, now)
        shown = self._batches.show(batch, now, start, limit)
        poll_after = poll_batch_after(shown, now)
        headers = {} if poll_after is None else {"Retry-After": str(poll_after)}
        response = respond(200, self._body(shown, now, limit), {**headers, "Cache-Control": "private, no-cache"})
        return respond_unless_unchanged(request, response["body"], response["headers"])

    def show_parent(self, request: HttpRequest) -> dict[str, Any] | None:
        """GET /status/{request_id}, of what an object in S3 has become; None: the id is no parent's, or another
        caller's."""
        now = self._clock()
        try:
            parent = self._batches.get(request.path["request_id"], request.caller, now)
        except UnknownBatch:
            return None
        if parent.trigger is None:
            return None
        shown = self._batches.show(parent, now, limit=parent.total)
        body = describe_parent(shown, now, self._payloads.links)
        poll_after = poll_batch_after(shown, now) if body["status"] in OPEN else None
        headers = {} if poll_after is None else {"Retry-After": str(poll_after)}
        response = respond(200, body, {**headers, "Cache-Control": "private, no-cache"})
        return respond_unless_unchanged(request, response["body"], response["headers"])

    def cancel(self, request: HttpRequest) -> dict[str, Any]:
        """POST /batches/{batch_id}/cancel."""
        now = self._clock()
        shown, cancelled = self._batches.cancel(request.path["batch_id"], request.caller, now)
        self._telemetry.info("batch_cancelled", batch_id=shown.batch.batch_id, items=cancelled)
        for _ in range(cancelled):
            self._telemetry.count_outcome(shown.batch.model, Status.CANCELLED)
        return respond(200, self._body(shown, now, 0))

    def resend_webhook(self, request: HttpRequest) -> dict[str, Any]:
        """POST /batches/{batch_id}/webhook."""
        now = self._clock()
        shown = self._batches.resend_webhook(request.path["batch_id"], request.caller, now)
        self._telemetry.info("webhook_resent", batch_id=shown.batch.batch_id, model=shown.batch.model)
        return respond(202, self._body(shown, now, 0))

    def _body(self, shown: Shown, now: int, limit: int) -> Mapping[str, Any]:
        body, after = describe_batch(shown, now, self._payloads.links)
        url = f"/batches/{shown.batch.batch_id}?cursor={after}&limit={limit}"
        return {**body, "next": url if limit and after is not None else None}
