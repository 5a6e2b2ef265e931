"""A record as the API shows it (a webhook's payload, too), and when a client should ask for it again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from inference.requests import OPEN, Record, Status, WebhookState
from inference.run_times import RunTime
from inference.webhooks.transitions import Announced

MAX_POLL_SECONDS = 30


def describe(record: Record, now: int, files: Sequence[Mapping[str, Any]] = ()) -> Mapping[str, Any]:
    """A record as the API shows it: times in ISO 8601 (UTC), result and error as JSON, `files` by `Payloads.links`."""
    status = record.status_at(now)
    return {
        "request_id": record.request_id,
        "batch_id": record.batch_id,
        "status": status,
        "model": record.model,
        "model_version": record.model_version,
        "code_digest": record.code_digest,
        "result": json.loads(record.result) if record.result is not None else None,
        "error": json.loads(record.error) if record.error is not None else None,
        "files": [{**file, "expires_at": iso_time(file["expires_at"])} for file in files],
        "attempts": record.attempts,
        "progress": json.loads(record.progress) if record.progress is not None else None,
        "submitted_at": iso_time(record.submitted_at),
        "started_at": iso_time(record.started_at),
        "finished_at": iso_time(record.finished_at),
        "expires_at": iso_time(record.expires_at),
        "webhook": describe_webhook(record),
    }


def describe_webhook(record: Announced) -> Mapping[str, Any] | None:
    """The webhook of a request or a batch as the API shows it; None: it has none."""
    if record.webhook_url is None:
        return None
    waits = record.webhook_state == WebhookState.RETRYING
    return {
        "url": record.webhook_url,
        "state": record.webhook_state,
        "attempts": json.loads(record.webhook_log or "[]"),
        "next_attempt_at": iso_time(record.webhook_retry_at) if waits else None,
    }


def summarize(record: Record, now: int) -> Mapping[str, Any]:
    """A record as a list shows it: without its result and its files, which may be large."""
    shown = {name: value for name, value in describe(record, now).items() if name not in ("result", "files")}
    return {**shown, "poll_url": f"/status/{record.request_id}"}


def poll_after(record: Record, now: int, usual: RunTime | None = None) -> int | None:
    """When to poll again, in seconds; None for a final request.

    A poll costs about as much as 30 ms of a large worker: the first one should come when the request is likely to be
    final, the next ones less and less often.

    Args:
        usual: how long the last requests of the model took; None: not known.
    """
    if record.status_at(now) not in OPEN:
        return None
    late_ms = now - record.submitted_at
    if usual is not None:
        late_ms = now - _expected_end(record, usual)
    seconds = late_ms // 4000 if late_ms >= 0 else math.ceil(-late_ms / 1000)
    return min(max(seconds, 1), MAX_POLL_SECONDS)


def _expected_end(record: Record, usual: RunTime) -> int:
    """When a request is final if it takes as long as is usual, in epoch milliseconds."""
    if record.status is Status.RUNNING and record.started_at is not None:
        return record.started_at + usual.run_ms
    return record.submitted_at + usual.total_ms


def iso_time(milliseconds: int | None) -> str | None:
    """A time in epoch milliseconds as ISO 8601, UTC."""
    if milliseconds is None:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03d}Z"
