"""Why a run at a GPU provider failed, as the text of an error: providers have no other place for it.

    {"code": "invalid_input", "message": "text is empty", "retryable": false}

The wrappers (`worker.providers`) write it, the adapters (`worker.backends`) read it.
"""

from __future__ import annotations

import json

from inference.requests import ErrorCode
from worker.isolation import Failed

_BEGIN = '{"code": '


def to_text(failed: Failed) -> str:
    """The text of a failed run."""
    return json.dumps({"code": failed.code, "message": failed.message, "retryable": failed.retryable})


def from_text(text: str) -> Failed | None:
    """Read it, also behind a provider's own words; None for any other text."""
    start = text.find(_BEGIN)
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    if not {"code", "message", "retryable"} <= found.keys():
        return None
    if not isinstance(found["code"], str) or found["code"] not in set(ErrorCode):
        return None
    return Failed(ErrorCode(found["code"]), str(found["message"]), found["retryable"] is True)
