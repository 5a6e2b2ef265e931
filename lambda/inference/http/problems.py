"""Maps each error to its HTTP response; only this module knows both.

A problem's type is a reference (RFC 9457, section 3.1.1) that clients compare as text. It is stable; title and detail
are for people, and may change. docs/api.md and openapi.json describe each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from inference.errors import (
    AlreadyFinal,
    ConfigurationError,
    InferenceError,
    InvalidBatch,
    InvalidInput,
    InvalidItems,
    InvalidReference,
    InvalidUpload,
    InvalidWebhook,
    KeyReused,
    NotFinal,
    NotJson,
    NoWebhook,
    QueueMissing,
    RequestError,
    TooLarge,
    Unavailable,
    UnknownBatch,
    UnknownModel,
    UnknownRequest,
)
from inference.http.messages import (
    InvalidIdempotencyKey,
    UnknownRoute,
    UnsupportedEncoding,
    UnsupportedMediaType,
    respond,
)
from inference.http.queries import InvalidQuery


class Problem(NamedTuple):
    """The response to an error. `detail` replaces the error's own text if that is for the log only."""

    status: int
    type: str
    title: str
    detail: str | None = None
    headers: Mapping[str, str] = {}


UNAVAILABLE = Problem(
    503,
    "/problems/unavailable",
    "Unavailable",
    "AWS did not answer in time, or throttled the call. Send the request again; with an Idempotency-Key it is never "
    "accepted twice.",
    {"Retry-After": "2"},
)

INTERNAL_ERROR = Problem(
    500,
    "/problems/internal-error",
    "Internal error",
    "The API failed; its log has the reason, under this invocation_id. A submit may have been accepted: repeat it with "
    "the same Idempotency-Key.",
)
"""The response to errors that are not in the map."""

PROBLEMS: Mapping[type[InferenceError], Problem] = {
    NotJson: Problem(400, "/problems/not-json", "Not JSON"),
    InvalidIdempotencyKey: Problem(400, "/problems/invalid-idempotency-key", "Bad Idempotency-Key"),
    InvalidWebhook: Problem(400, "/problems/invalid-webhook", "Bad webhook"),
    InvalidQuery: Problem(400, "/problems/invalid-query", "Bad query"),
    UnknownModel: Problem(404, "/problems/unknown-model", "No such model"),
    UnknownRequest: Problem(404, "/problems/unknown-request", "No such request"),
    UnknownBatch: Problem(404, "/problems/unknown-batch", "No such batch"),
    UnknownRoute: Problem(404, "/problems/unknown-route", "No such route"),
    AlreadyFinal: Problem(409, "/problems/already-final", "Final already"),
    NotFinal: Problem(409, "/problems/not-final", "Not final yet"),
    NoWebhook: Problem(409, "/problems/no-webhook", "No webhook"),
    TooLarge: Problem(413, "/problems/too-large", "Too large"),
    UnsupportedMediaType: Problem(415, "/problems/unsupported-media-type", "Unsupported media type"),
    UnsupportedEncoding: Problem(
        415,
        "/problems/unsupported-content-encoding",
        "Unsupported content encoding",
        headers={"Accept-Encoding": "identity"},
    ),
    InvalidInput: Problem(422, "/problems/invalid-input", "Invalid input"),
    InvalidReference: Problem(422, "/problems/invalid-reference", "Invalid reference"),
    InvalidUpload: Problem(422, "/problems/invalid-upload", "Invalid upload"),
    InvalidBatch: Problem(422, "/problems/invalid-batch", "Invalid batch"),
    InvalidItems: Problem(422, "/problems/invalid-items", "Invalid items"),
    KeyReused: Problem(422, "/problems/idempotency-key-reused", "Idempotency-Key reused"),
    Unavailable: UNAVAILABLE,
    QueueMissing: UNAVAILABLE,
    ConfigurationError: INTERNAL_ERROR,
}


def respond_problem(error: Exception, **members: Any) -> dict[str, Any]:
    """The problem document (RFC 9457) of any error; one that is not in the map is a 500.

    Args:
        error: what was raised.
        members: more members of the document, in addition to the error's facts.
    """
    problem = PROBLEMS.get(type(error), INTERNAL_ERROR) if isinstance(error, InferenceError) else INTERNAL_ERROR
    facts = error.facts if isinstance(error, RequestError) else {}
    body = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail or str(error),
        **facts,
        **members,
    }
    return respond(problem.status, body, {"content-type": "application/problem+json", **problem.headers})
