"""Beam: tasks of a deployed task queue. https://docs.beam.cloud/v2/task-queue/running-tasks

Callbacks are signed: HMAC-SHA256, in hex, of base64(body) + ":" + timestamp, with the workspace's signing key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from inference.errors import ConfigurationError
from worker.backends import answers
from worker.backends.base import (
    Callback,
    Failed,
    Look,
    NotAuthentic,
    Running,
    Submission,
    Succeeded,
)
from worker.backends.http import NOT_FOUND, Http, segment

NAME = "Beam"
DEFAULT_API = "https://api.beam.cloud"
TOLERANCE_SECONDS = 300


class Beam:
    """One task queue, deployed from an app that `make gpu-app KIND=beam` writes.

    Args:
        settings: `url`: the queue's, as `beam deploy` prints it; `api_url`: Beam's own, by default the public one.
        secret: the token; `webhook_secret` is the workspace's signing key: without it a callback is believed by its URL
            alone.
        remaining: see `Http`.
        clock: epoch seconds.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    polls = True

    def __init__(
        self,
        settings: Mapping[str, Any],
        secret: Mapping[str, str],
        remaining: Callable[[], float] = lambda: math.inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not settings.get("url"):
            raise ConfigurationError("url of a backend of the kind beam must be the task queue's address")
        self._queue = Http(NAME, settings["url"], secret["token"], remaining)
        self._api = Http(NAME, settings.get("api_url") or DEFAULT_API, secret["token"], remaining)
        self._key = secret.get("webhook_secret")
        self._clock = clock

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`. The task's time limit is the app's own: Beam takes none with a call."""
        body = {"input": submission.input}
        if submission.callback_url:
            body["callback_url"] = submission.callback_url
        return answers.member(NAME, self._queue.call("POST", "", body).body, "task_id")

    def look(self, provider_id: str) -> Look:
        """See `Backend.look`."""
        return answers.look(self._api, f"/v2/task/{segment(provider_id)}/", _look)

    def cancel(self, provider_id: str) -> None:
        """See `Backend.cancel`."""
        self._api.call("DELETE", "/v2/task/cancel/", {"task_ids": [provider_id]}, expected=NOT_FOUND)

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """See `Backend.read_callback`."""
        if self._key:
            stamp = headers.get("x-task-timestamp", "")
            expected = signature(self._key, body, stamp)
            if not hmac.compare_digest(expected.encode(), headers.get("x-task-signature", "").encode()):
                raise NotAuthentic("the callback is not signed by Beam")
            if not stamp.isdecimal() or abs(self._clock() - int(stamp)) > TOLERANCE_SECONDS:
                raise NotAuthentic("the callback's time is not now")
        return Callback(answers.callback_id(headers.get("x-task-id")))


def signature(key: str, body: bytes, timestamp: str) -> str:
    """Beam's signature of a callback, in hex. `timestamp`: epoch seconds, as in its header."""
    signed = f"{base64.b64encode(body).decode()}:{timestamp}".encode()
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def _result(result: Any, ran: float | None) -> Look:
    """What our app returns: a task that raises is repeated by Beam, so a failed run is a result, too."""
    if isinstance(result, dict) and "error" in result:
        return answers.failed(NAME, result["error"], ran)
    if isinstance(result, dict) and "output" in result:
        return Succeeded(result["output"], ran)
    return Failed("Beam: the task's result is not that of an app that `make gpu-app` writes", retryable=False)


def _seconds_between(start: Any, end: Any) -> float | None:
    try:
        return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _look(body: Any) -> Look:
    status = answers.member(NAME, body, "status").upper()
    ran = _seconds_between(body.get("started_at"), body.get("ended_at"))
    if status == "COMPLETE":
        return _result(body.get("result"), ran)
    if status in ("FAILED", "ERROR"):
        return answers.failed(NAME, body.get("result") or body.get("error"), ran)
    if status in ("TIMEOUT", "EXPIRED", "CANCELLED"):
        return answers.stopped(NAME, status.lower(), ran)
    return Running()  # PENDING, RUNNING, RETRY
