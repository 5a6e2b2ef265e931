"""RunPod: jobs of a serverless endpoint with a queue. https://docs.runpod.io/serverless/endpoints/operation-reference

A job's result is kept for 30 minutes; after that, and after `ttl`, its status is 404. Callbacks are not signed: the
outcome is read by GET.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from inference.errors import ConfigurationError
from worker.backends import answers
from worker.backends.base import Callback, Look, Running, Submission, Succeeded
from worker.backends.http import Http, segment

NAME = "RunPod"
DEFAULT_URL = "https://api.runpod.ai/v2"
MIN_EXECUTION_MS = 6_000
"""RunPod takes more than 5 s."""
MIN_TTL_MS, MAX_TTL_MS = 10_000, 7 * 86_400_000
_BAD_REQUEST = frozenset({400, 404})  # RunPod also answers 400 to a cancel of a job that is over


class RunPod:
    """One endpoint.

    Args:
        settings: `endpoint`: its id; `url`.
        secret: the API key.
        remaining: see `Http`.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    polls = True

    def __init__(
        self,
        settings: Mapping[str, Any],
        secret: Mapping[str, str],
        remaining: Callable[[], float] = lambda: math.inf,
    ) -> None:
        endpoint = settings.get("endpoint")
        if not isinstance(endpoint, str) or not endpoint.isalnum():
            raise ConfigurationError("endpoint of a backend of the kind runpod must be the endpoint's id")
        self._http = Http(NAME, f"{settings.get('url') or DEFAULT_URL}/{endpoint}", secret["token"], remaining)

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`."""
        milliseconds = submission.seconds * 1000
        body: dict[str, Any] = {
            "input": submission.input,
            "policy": {
                "executionTimeout": max(min(milliseconds, MAX_TTL_MS), MIN_EXECUTION_MS),
                "ttl": max(min(milliseconds, MAX_TTL_MS), MIN_TTL_MS),
            },
        }
        if submission.callback_url:
            body["webhook"] = submission.callback_url
        return answers.member(NAME, self._http.call("POST", "/run", body).body, "id")

    def look(self, provider_id: str) -> Look:
        """See `Backend.look`."""
        return answers.look(self._http, f"/status/{segment(provider_id)}", _look)

    def cancel(self, provider_id: str) -> None:
        """See `Backend.cancel`."""
        self._http.call("POST", f"/cancel/{segment(provider_id)}", expected=_BAD_REQUEST)

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """See `Backend.read_callback`."""
        return Callback(answers.callback_id(answers.callback_body(body).get("id")))


def _look(body: Any) -> Look:
    status = answers.member(NAME, body, "status")
    ran = answers.seconds(body.get("executionTime"), 1000)
    if status == "COMPLETED":
        return Succeeded(body.get("output"), ran)
    if status == "FAILED":
        return answers.failed(NAME, body.get("error"), ran)
    if status == "TIMED_OUT":
        return answers.stopped(NAME, "it took longer than its deadline, or its worker was lost", ran)
    if status == "CANCELLED":
        return answers.stopped(NAME, "it was cancelled", ran)
    return Running()
