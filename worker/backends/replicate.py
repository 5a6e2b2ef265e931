"""Replicate: predictions of its HTTP API. https://replicate.com/docs/reference/http

A prediction and its output are deleted an hour after its end. Callbacks are signed as Standard Webhooks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from inference.errors import ConfigurationError
from inference.webhooks.signature import is_signed, parse_secrets
from worker.backends import answers
from worker.backends.base import (
    Callback,
    Gone,
    Look,
    NotAuthentic,
    Running,
    Submission,
    Succeeded,
)
from worker.backends.files import with_links
from worker.backends.http import NOT_FOUND, Http, segment

NAME = "Replicate"
DEFAULT_URL = "https://api.replicate.com"
MIN_DEADLINE_SECONDS, MAX_DEADLINE_SECONDS = 5, 86_400
_INTERRUPTED = "(code: PA)"
"""Ends the error of a prediction that Replicate itself interrupted."""


class Replicate:
    """One model, version or deployment.

    Args:
        settings: `endpoint`: `owner/name` (official models), `owner/name:version`, or `deployments/owner/name`; `url`.
        secret: `webhook_secret` is the account's signing secret; without it a callback is believed by its URL alone.
        remaining: see `Http`.
        clock: epoch seconds.

    Raises:
        ConfigurationError: a setting or the signing secret is wrong.
    """

    polls = True

    def __init__(
        self,
        settings: Mapping[str, Any],
        secret: Mapping[str, str],
        remaining: Callable[[], float] = lambda: math.inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._version = _target(str(settings.get("endpoint") or ""))
        self._http = Http(NAME, settings.get("url") or DEFAULT_URL, secret["token"], remaining)
        self._webhook_secrets = parse_secrets(signing) if (signing := secret.get("webhook_secret")) else None
        self._clock = clock

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`."""
        body: dict[str, Any] = {"input": with_links(submission.input), **self._version}
        if submission.callback_url:
            body |= {"webhook": submission.callback_url, "webhook_events_filter": ["completed"]}
        deadline = min(max(submission.seconds, MIN_DEADLINE_SECONDS), MAX_DEADLINE_SECONDS)
        answer = self._http.call("POST", self._path, body, {"Cancel-After": f"{deadline}s"})
        return answers.member(NAME, answer.body, "id")

    def look(self, provider_id: str) -> Look:
        """See `Backend.look`."""
        return answers.look(self._http, f"/v1/predictions/{segment(provider_id)}", partial(look_of, NAME))

    def cancel(self, provider_id: str) -> None:
        """See `Backend.cancel`."""
        self._http.call("POST", f"/v1/predictions/{segment(provider_id)}/cancel", expected=NOT_FOUND)

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """See `Backend.read_callback`."""
        if self._webhook_secrets is not None and not is_signed(
            headers, body, self._webhook_secrets, int(self._clock())
        ):
            raise NotAuthentic("the callback is not signed by Replicate")
        return Callback(answers.callback_id(answers.callback_body(body).get("id")))


def look_of(provider: str, body: Any) -> Look:
    """How a prediction is, in the form that Replicate's API and Cog's server share. Raises Uncertain."""
    status = answers.member(provider, body, "status")
    metrics = body.get("metrics")
    ran = answers.seconds(metrics.get("predict_time")) if isinstance(metrics, dict) else None
    if status == "succeeded":
        return Gone() if body.get("data_removed") is True else Succeeded(body.get("output"), ran)
    if status == "failed":
        error = body.get("error")
        if isinstance(error, str) and error.rstrip().endswith(_INTERRUPTED):
            return answers.stopped(provider, error, ran)
        return answers.failed(provider, error, ran)
    if status in ("canceled", "aborted"):
        return answers.stopped(provider, "it was cancelled, or not done by its deadline", ran)
    return Running()  # starting, processing, and what may be added


def _target(endpoint: str) -> tuple[str, dict[str, str]]:
    """The path to submit to, and what names the version in the body."""
    name, _, version = endpoint.partition(":")
    parts = name.split("/")
    if version and len(parts) == 2 and all(parts):
        return "/v1/predictions", {"version": version}
    if not version and len(parts) == 2 and all(parts):
        return f"/v1/models/{segment(parts[0])}/{segment(parts[1])}/predictions", {}
    if not version and len(parts) == 3 and parts[0] == "deployments" and all(parts):
        return f"/v1/deployments/{segment(parts[1])}/{segment(parts[2])}/predictions", {}
    forms = "owner/name, owner/name:version or deployments/owner/name"
    raise ConfigurationError(f"endpoint {endpoint!r} of a backend of the kind replicate must be {forms}")
