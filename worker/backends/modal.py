"""Modal: the web endpoints of an app that `make gpu-app KIND=modal` writes (worker/providers/modal_app.py.template).

Modal's own calls are gRPC; the app has them behind HTTP, with a shared token: POST /submit, GET /status/{id}, POST
/cancel/{id}. A result is kept for 7 days.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from inference.errors import ConfigurationError
from worker.backends import answers
from worker.backends.base import Callback, Look, Running, Submission, Succeeded
from worker.backends.http import NOT_FOUND, Http, segment

NAME = "Modal"


class Modal:
    """One deployed app.

    Args:
        settings: `url`: that of the app's web endpoint.
        secret: the app's token.
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
        if not settings.get("url"):
            raise ConfigurationError("url of a backend of the kind modal must be the address of the app's endpoint")
        self._http = Http(NAME, settings["url"], secret["token"], remaining)

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`. The run's time limit is the app's own: Modal takes none with a call."""
        body = {"input": submission.input, "callback_url": submission.callback_url}
        return answers.member(NAME, self._http.call("POST", "/submit", body).body, "id")

    def look(self, provider_id: str) -> Look:
        """See `Backend.look`."""
        return answers.look(self._http, f"/status/{segment(provider_id)}", _look)

    def cancel(self, provider_id: str) -> None:
        """See `Backend.cancel`."""
        self._http.call("POST", f"/cancel/{segment(provider_id)}", expected=NOT_FOUND)

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """See `Backend.read_callback`."""
        return Callback(answers.callback_id(answers.callback_body(body).get("id")))


def _look(body: Any) -> Look:
    status = answers.member(NAME, body, "status")
    if status == "succeeded":
        return Succeeded(body.get("output"), answers.seconds(body.get("run_seconds")))
    if status == "failed":
        return answers.failed(NAME, body.get("error"), answers.seconds(body.get("run_seconds")))
    if status == "stopped":
        return answers.stopped(NAME, "it was cancelled, took longer than the app's timeout, or was lost")
    return Running()
