"""Cog's own HTTP server, on a machine of yours. https://cog.run/http

It has no address to ask for a prediction: its callback is the only source of the outcome, and its body is believed. So
callbacks are authenticated by their URL and, where the secret has `webhook_secret`, by the bearer token that the server
sends (its variable WEBHOOK_AUTH_TOKEN).
"""

from __future__ import annotations

import hmac
import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from inference.errors import ConfigurationError
from worker.backends import answers
from worker.backends.base import Callback, Gone, Look, NotAuthentic, Refused, Running, Submission
from worker.backends.files import with_links
from worker.backends.http import NOT_FOUND, Http, segment
from worker.backends.replicate import look_of

NAME = "Cog"
_BUSY = frozenset({409})
_NO_ID = re.compile(r"[^A-Za-z0-9_-]")
_LOST = frozenset({"DEFUNCT", "SETUP_FAILED"})
SKEW_SECONDS = 60
"""How far the clocks of the server and of the dispatcher may be apart."""


class Cog:
    """One server.

    Args:
        settings: `url`: the server's.
        secret: the token is sent as bearer: Cog itself checks none, so a proxy in front of it should.
        remaining: see `Http`.
        clock: epoch seconds.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    polls = False

    def __init__(
        self,
        settings: Mapping[str, Any],
        secret: Mapping[str, str],
        remaining: Callable[[], float] = lambda: math.inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not settings.get("url"):
            raise ConfigurationError("url of a backend of the kind cog must be the server's address")
        self._http = Http(NAME, settings["url"], secret["token"], remaining)
        self._clock = clock
        self._bearer = secret.get("webhook_secret")

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`. The id is made here, and has the time, for `look`."""
        if submission.callback_url is None:
            raise ConfigurationError("a backend of the kind cog needs callbacks: nothing else tells the outcome")
        body = {
            "input": with_links(submission.input),
            "webhook": submission.callback_url,
            "webhook_events_filter": ["completed"],
        }
        provider_id = f"{_NO_ID.sub('-', submission.request_id)}-{submission.number}-{int(self._clock())}"
        path = f"/predictions/{segment(provider_id)}"
        answer = self._http.call("PUT", path, body, {"Prefer": "respond-async"}, expected=_BUSY)
        if answer.status in _BUSY:
            raise Refused("Cog answered 409: all its prediction slots are in use")
        return provider_id

    def look(self, provider_id: str) -> Look:
        """Whether the server still is the one that the run was submitted to: one that has started since has lost it,
        and so has one whose model has crashed. To submit again for its state would start a run that is over."""
        body = self._http.call("GET", "/health-check").body
        if answers.member(NAME, body, "status") in _LOST:
            return Gone()
        submitted = provider_id.rpartition("-")[2]
        started = _epoch(body.get("setup"))
        restarted = started is not None and submitted.isdecimal() and started > int(submitted) + SKEW_SECONDS
        return Gone() if restarted else Running()

    def cancel(self, provider_id: str) -> None:
        """See `Backend.cancel`. A predictor that does not give way goes on."""
        self._http.call("POST", f"/predictions/{segment(provider_id)}/cancel", expected=NOT_FOUND)

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """See `Backend.read_callback`."""
        sent = headers.get("authorization", "")
        if self._bearer and not hmac.compare_digest(sent.encode(), f"Bearer {self._bearer}".encode()):
            raise NotAuthentic("the callback has not the bearer token of the Cog server")
        found = answers.callback_body(body)
        return Callback(answers.callback_id(found.get("id")), look_of(NAME, found))


def _epoch(setup: Any) -> float | None:
    """When the server began to load its model; None where it does not say."""
    try:
        return datetime.fromisoformat(setup["started_at"]).timestamp()
    except (TypeError, KeyError, ValueError):
        return None
