"""A parent as the API shows it: the requests that one object has become, joined.

Its status has the words of a request's: it is open until all of its requests are final, and then the worst of theirs.
"""

from __future__ import annotations

import json
from typing import Any

from inference.batches.counting import Shown
from inference.batches.description import Links
from inference.batches.progress import ERASED
from inference.batches.record import BatchRecord
from inference.description import describe, describe_webhook, iso_time
from inference.requests import OPEN, Record, Status
from inference.webhooks.retries import MESSAGE_GRACE_MS

_WORST_FIRST = (Status.FAILED, Status.EXPIRED, Status.CANCELLED)
_KEPT = ("status", "model_version", "result", "error", "files", "attempts", "started_at", "finished_at")


def describe_parent(shown: Shown, now: int, links: Links) -> dict[str, Any]:
    """A parent, with all of its requests, as the API shows it.

    Args:
        shown: all items, from the first on.
    """
    parent = shown.batch
    models = {parent.model_of(index): _model(parent, index, record, now, links) for index, record in shown.items}
    statuses = [str(each["status"]) for each in models.values()]
    status = status_of(statuses)
    return {
        "request_id": parent.batch_id,
        "trigger": parent.trigger,
        "source": json.loads(parent.source or "{}"),
        "status": status,
        "models": models,
        "submitted_at": iso_time(parent.submitted_at),
        "finished_at": iso_time(shown.tally.finished_at or None) if status not in OPEN else None,
        "cancelled_at": iso_time(parent.cancelled_at),
        "expires_at": iso_time(parent.expires_at),
        "webhook": describe_webhook(parent),
    }


def status_of(statuses: list[str]) -> Status:
    """The status of a parent whose requests have these; those that were erased do not count."""
    left = [status for status in statuses if status != ERASED]
    if all(status == Status.PENDING for status in left) and left:
        return Status.PENDING
    if any(status in OPEN for status in left):
        return Status.RUNNING
    return next((worst for worst in _WORST_FIRST if worst in left), Status.SUCCEEDED)


def _model(parent: BatchRecord, index: int, record: Record | None, now: int, links: Links) -> dict[str, Any]:
    request_id = parent.item_id(index)
    head = {"request_id": request_id, "poll_url": f"/status/{request_id}"}
    if record is not None:
        described = describe(record, now, links(record, now))
        return {**head, **{name: described[name] for name in _KEPT}}
    # Until it is confirmed, the intake may still have to make it.
    may_come = parent.submit_id is not None and parent.expires_at + MESSAGE_GRACE_MS > now
    empty: dict[str, Any] = dict.fromkeys(_KEPT)
    return {**head, **empty, "status": str(Status.PENDING) if may_come else ERASED, "files": [], "attempts": 0}
