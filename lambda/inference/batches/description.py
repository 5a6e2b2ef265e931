"""A batch as the API shows it, and when a client should ask for it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inference.batches.counting import Shown
from inference.batches.progress import ERASED, NOT_CREATED
from inference.batches.record import CHUNK, BatchRecord
from inference.description import MAX_POLL_SECONDS, describe, describe_webhook, iso_time
from inference.requests import Record

MAX_PAGE_BYTES = 1_000_000
"""Of the items of one page: a page with large results ends early. One item may have 350 KB more."""

Links = Callable[[Record, int], Sequence[Mapping[str, Any]]]
"""The files of a record with links: `Payloads.links`."""


def describe_batch(shown: Shown, now: int, links: Links) -> tuple[Mapping[str, Any], int | None]:
    """A batch as the API shows it, and the index where its next page begins; None: there is none."""
    batch = shown.batch
    items, after = _page(shown, now, links)
    body = {
        "batch_id": batch.batch_id,
        "status": shown.status,
        "model": batch.model,
        "total": batch.total or None,
        "counts": shown.tally.counts,
        "counted": shown.counted,
        "submitted_at": iso_time(batch.submitted_at),
        "cancelled_at": iso_time(batch.cancelled_at),
        "finished_at": iso_time(shown.finished_at),
        "expires_at": iso_time(batch.expires_at),
        "reason": batch.failure_at(now),
        "error_count": batch.error_count,
        "errors": json.loads(batch.errors or "[]"),
        "webhook": describe_webhook(batch),
        "items": items,
    }
    return body, after


def poll_batch_after(shown: Shown, now: int) -> int | None:
    """When to poll a batch again, in seconds; None for a finished one. A large one costs more to read."""
    if shown.finished:
        return None
    age = (now - shown.batch.submitted_at) // 4000
    return min(max(age, 1, shown.tally.open // (5 * CHUNK)), MAX_POLL_SECONDS)


def _page(shown: Shown, now: int, links: Links) -> tuple[list[Mapping[str, Any]], int | None]:
    items: list[Mapping[str, Any]] = []
    size = 0
    for index, record in shown.items:
        if size >= MAX_PAGE_BYTES:
            return items, index
        items.append(_item(shown.batch, index, record, now, links))
        size += len(record.result or "") if record else 0
    after = shown.items[-1][0] + 1 if shown.items else shown.batch.total
    return items, after if after < shown.batch.created_to else None


def _item(batch: BatchRecord, index: int, record: Record | None, now: int, links: Links) -> Mapping[str, Any]:
    request_id = batch.item_id(index)
    if record is None:
        status = ERASED if batch.stage is None or index < batch.accepted else NOT_CREATED
        shown: Mapping[str, Any] = {"request_id": request_id, "status": status, "result": None, "error": None}
        return {"index": index, **shown, "files": [], "poll_url": f"/status/{request_id}"}
    described = describe(record, now, links(record, now))
    kept = ("request_id", "status", "result", "error", "files")
    return {"index": index, **{name: described[name] for name in kept}, "poll_url": f"/status/{request_id}"}
