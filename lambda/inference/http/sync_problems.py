"""Maps why a synchronous prediction has no result to its HTTP response; `problems` has the errors of all routes.

Where the asynchronous route may give a result for the same input, the response names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.http.messages import respond
from inference.http.problems import Problem
from inference.requests import ErrorCode

BUSY = "busy"
RESULT_TOO_LARGE = "result_too_large"

_MODEL_ERROR = Problem(500, "/problems/model-error", "Model error")

SYNC_PROBLEMS: Mapping[str, Problem] = {
    ErrorCode.MODEL_ERROR: _MODEL_ERROR,
    ErrorCode.INVALID_OUTPUT: _MODEL_ERROR,
    ErrorCode.OUT_OF_MEMORY: _MODEL_ERROR,
    ErrorCode.MODEL_NOT_LOADED: Problem(
        503, "/problems/model-not-loaded", "Model not loaded", headers={"Retry-After": "5"}
    ),
    ErrorCode.TIMEOUT: Problem(504, "/problems/timeout", "Timeout"),
    BUSY: Problem(429, "/problems/busy", "Busy", headers={"Retry-After": "1"}),
    RESULT_TOO_LARGE: Problem(422, "/problems/result-too-large", "Result too large"),
}
"""By error code of a request, or one of those above."""

ASYNC_HELPS = (ErrorCode.MODEL_NOT_LOADED, ErrorCode.TIMEOUT, BUSY, RESULT_TOO_LARGE)
"""Where the same input may have a result if it is submitted asynchronously."""


def respond_failed(code: str, message: str, **members: Any) -> dict[str, Any]:
    """The problem document of a prediction that failed. `code` is one of `SYNC_PROBLEMS`."""
    problem = SYNC_PROBLEMS[code]
    body = {"type": problem.type, "title": problem.title, "status": problem.status, "detail": message, "code": code}
    return respond(problem.status, {**body, **members}, {"content-type": "application/problem+json", **problem.headers})


def naming_async(response: dict[str, Any], address: str | None) -> dict[str, Any]:
    """The response with a link to the asynchronous route; unchanged where there is none."""
    if address is None:
        return response
    link = {"Link": f'<{address}>; rel="alternate"; title="asynchronous"'}
    return {**response, "headers": {**response["headers"], **link}}
