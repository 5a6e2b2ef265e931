"""Reading providers' answers, callbacks, and the errors of runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from worker import run_error
from worker.backends.base import Failed, Gone, Look, NotAuthentic, Uncertain
from worker.backends.http import NOT_FOUND, AnswerTooLarge, Http

MAX_MESSAGE_CHARACTERS = 500


def look(http: Http, path: str, read: Callable[[Any], Look]) -> Look:
    """How the run is that an address is about. `read`: from the body of an answer. Raises as `Backend.look`."""
    try:
        answer = http.call("GET", path, expected=NOT_FOUND)
    except AnswerTooLarge as error:
        return Failed(str(error), retryable=False)
    return Gone() if answer.status in NOT_FOUND else read(answer.body)


def failed(provider: str, error: Any, run_seconds: float | None = None) -> Failed:
    """What a provider says of a failed run: what our wrapper says, or any text of another model. That is retried: it
    may be the machine's fault."""
    told = run_error.from_text(error) if isinstance(error, str) else None
    if told is not None:
        return Failed(_short(told.message), told.retryable, run_seconds, told.code)
    text = error if isinstance(error, str) else json.dumps(error)
    return Failed(_short(f"{provider}: {text}") if error else f"{provider}: the run failed", True, run_seconds)


def stopped(provider: str, how: str, run_seconds: float | None = None) -> Failed:
    """A run that the provider ended: cancelled there, or timed out."""
    return Failed(f"{provider} ended the run: {how}", True, run_seconds)


def _short(text: Any) -> str:
    return str(text)[:MAX_MESSAGE_CHARACTERS]


def member(provider: str, body: Any, name: str) -> str:
    """A text of an answer. Raises Uncertain: the answer has none, so nothing is known."""
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise Uncertain(f"{provider}'s answer has no {name}")
    return value


def seconds(value: Any, scale: float = 1) -> float | None:
    """A duration of an answer, in seconds; None where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return None
    return value / scale


def callback_body(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a callback. Raises NotAuthentic."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAuthentic("the callback's body is not JSON") from error
    if not isinstance(found, dict):
        raise NotAuthentic("the callback's body is no object")
    return found


def callback_id(provider_id: Any) -> str:
    """The run's id in a callback. Raises NotAuthentic."""
    if not isinstance(provider_id, str) or not provider_id:
        raise NotAuthentic("the callback names no run")
    return provider_id
