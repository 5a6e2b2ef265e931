"""What the clients do with batches, as plans: see `_operations`."""

import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import httpx2

from async_inference_client._content import content_of
from async_inference_client._encoding import encoded, quoted
from async_inference_client._lines import MEDIA_TYPE, LinesFile
from async_inference_client._operations import OUTAGE_SECONDS, Operations
from async_inference_client._responses import body_of, retry_after, unreadable
from async_inference_client._steps import Call, Plan
from async_inference_client._transfers import upload
from async_inference_client.batch_models import BatchItem, BatchStatus
from async_inference_client.errors import (
    BatchFailed,
    IdempotencyKeyReused,
    InferenceError,
    InvalidItems,
    InvalidLines,
    WaitTimeout,
)

OnBatchStatus = Callable[[BatchStatus], None]
PAGE_ITEMS = 100


def submit(
    operations: Operations,
    items: Iterable[Any],
    model: str | None,
    idempotency_key: str | None,
    webhook: str | None = None,
) -> Plan[BatchStatus]:
    """Send many inputs. All tries have the same key, so that a lost response makes no second batch."""
    headers = _headers(str(uuid.uuid4()) if idempotency_key is None else idempotency_key, webhook)
    return (yield from _submitted(operations, list(items), model, headers))


def submit_file(
    operations: Operations, file: LinesFile, model: str | None, webhook: str | None = None
) -> Plan[BatchStatus]:
    """Send the lines of a file, in the body or by an upload. All tries, in this process and in others, have the same
    key."""
    headers = _headers(file.key, webhook)
    if file.items is not None:
        try:
            return (yield from _submitted(operations, file.items, model, headers))
        except InvalidItems as error:
            found = error.body.get("errors", ()) if isinstance(error.body, dict) else ()
            raise InvalidLines([(each["index"], each["detail"]) for each in found]) from error
    reference = yield from upload(operations, content_of(file.path), MEDIA_TYPE)
    try:
        return (yield from _submitted(operations, reference, model, headers))
    except IdempotencyKeyReused as error:
        # An earlier run has sent these lines, by another upload.
        batch_id = error.body.get("batch_id") if isinstance(error.body, dict) else None
        if not isinstance(batch_id, str):
            raise
        status = yield from get(operations, batch_id)
        if webhook is not None and _webhook_of(status) != webhook:
            raise
        return status


def _headers(key: str, webhook: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": quoted(key)}
    return headers if webhook is None else {**headers, "Webhook-URL": webhook}


def _webhook_of(status: BatchStatus) -> Any:
    """The URL that a batch was submitted with; "none" without one."""
    found = status.document.get("webhook")
    return found.get("url") if isinstance(found, dict) else "none"


def _submitted(
    operations: Operations, items: list[Any] | dict[str, str], model: str | None, headers: dict[str, str]
) -> Plan[BatchStatus]:
    path = "/batch" if model is None else f"/batch/{quote(model, safe='')}"
    call = Call("POST", path, operations.request_timeout, encoded({"items": items}), headers)
    return _read((yield from operations.submitted(call)))


def check(status: BatchStatus) -> None:
    """Raise for a batch that has no results of all items.

    Raises:
        InvalidLines: lines of its file are not valid.
        BatchFailed: not all of its items could be created.
    """
    if status.status == "rejected":
        raise InvalidLines([(each["index"], each["detail"]) for each in status.errors], status.error_count)
    if status.status == "failed":
        raise BatchFailed(status)


def get(operations: Operations, batch_id: str) -> Plan[BatchStatus]:
    """The batch as it is now, without its items."""
    return _read((yield from operations.repeated("GET", _path(batch_id))))


def cancel(operations: Operations, batch_id: str) -> Plan[BatchStatus]:
    """Cancel the items that are not final. Repeating it is safe."""
    path = f"/batches/{quote(batch_id, safe='')}/cancel"
    return _read((yield from operations.repeated("POST", path)))


def page(operations: Operations, batch_id: str, start: int) -> Plan[tuple[list[BatchItem], int | None]]:
    """The items from an index on, and the index after them; None: they are the last."""
    response = yield from operations.repeated("GET", _path(batch_id, PAGE_ITEMS, start))
    found = body_of(response)
    if not isinstance(found, dict) or not isinstance(found.get("items"), list):
        raise unreadable(response, "a batch with its items was expected")
    try:
        items = [BatchItem.from_document(item) for item in found["items"]]
    except ValueError as error:
        raise unreadable(response, str(error)) from error
    more = items and found.get("next") is not None
    return items, items[-1].index + 1 if more else None


def wait(
    operations: Operations,
    batch_id: str,
    timeout: float | None,
    on_status: OnBatchStatus | None,
) -> Plan[BatchStatus]:
    """Poll until the batch is final, at once for the first time."""
    deadline = operations.deadline(timeout)
    poll = Call("GET", _path(batch_id), operations.request_timeout)
    failures, failing_since = 0, 0.0
    while True:
        pause: float | None
        try:
            status = _read((yield from operations.once(poll, deadline)))
        except InferenceError as error:
            now = operations.clock()
            failing_since = failing_since if failures else now
            failures += 1
            pause = operations.pauses.before_retry(error, failures)
            over = deadline is not None and now >= deadline
            if pause is None or over or now - failing_since >= OUTAGE_SECONDS:
                raise
        else:
            failures = 0
            if on_status is not None:
                on_status(status)
            if status.finished:
                return status
            if timeout is not None and deadline is not None and operations.clock() >= deadline:
                raise WaitTimeout(batch_id, timeout, "batch")
            pause = operations.pauses.before_poll(status.retry_after)
        yield operations.pause(pause, deadline)


def _path(batch_id: str, limit: int = 0, start: int = 0) -> str:
    return f"/batches/{quote(batch_id, safe='')}?limit={limit}" + (f"&cursor={start}" if start else "")


def _read(response: httpx2.Response) -> BatchStatus:
    found = body_of(response)
    if not isinstance(found, dict):
        raise unreadable(response, "a JSON object was expected")
    try:
        return BatchStatus.from_document(found, retry_after(response))
    except ValueError as error:
        raise unreadable(response, str(error)) from error
