"""Why a run at a GPU provider failed, as the text of an error: providers have no other place for it.

    {"code": "invalid_input", "message": "text is empty", "retryable": false}

The wrappers (`worker.providers`) write it, the adapters (`worker.backends`) read it.
"""

from __future__ import annotations

import json

from inference.requests import ErrorCode
from worker.isolation import Failed


def to_text(failed: Failed) -> str:
    """The text of a failed run."""
    return json.dumps({"code": failed.code, "message": failed.message, "retryable": failed.retryable})


def from_text(text: str) -> Failed | None:
    """Read it; None for any other text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not {"code", "message", "retryable"} <= found.keys():
        return None
    if found["code"] not in set(ErrorCode):
        return None
    return Failed(ErrorCode(found["code"]), str(found["message"]), found["retryable"] is True)
