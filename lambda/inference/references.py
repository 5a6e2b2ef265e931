"""References in an input: {"$ref": "/uploads/<upload id>"} stands for what its caller has uploaded.

A reference is an object with this one member. An object with `$ref` and other members is data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from inference.errors import InvalidReference

MAX_REFERENCES = 20
"""Of one input: the record has the ids, and with more of them its writes would cost twice as much."""

_UPLOAD = re.compile(r"/uploads/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def reference_to(upload_id: str) -> dict[str, str]:
    """The reference that a client puts in its input."""
    return {"$ref": f"/uploads/{upload_id}"}


def is_reference(value: Any) -> bool:
    """Whether a value is an object whose only member is `$ref`."""
    return isinstance(value, dict) and len(value) == 1 and "$ref" in value


def upload_id_of(reference: Any) -> str:
    """The id in a reference.

    Raises:
        InvalidReference: it is not the path of an upload.
    """
    path = reference["$ref"]
    match = _UPLOAD.fullmatch(path) if isinstance(path, str) else None
    if match is None:
        shown = path[:100] if isinstance(path, str) else type(path).__name__
        detail = f"The input has the reference '{shown}', which is no upload: POST /uploads answers with a reference."
        raise InvalidReference(detail)
    return match[1]


def upload_ids(value: Any) -> tuple[str, ...]:
    """The uploads that an input refers to, each once.

    Raises:
        InvalidReference: a reference is not one to an upload, or there are more than `MAX_REFERENCES`.
    """
    found: dict[str, None] = {}

    def note(reference: Any) -> Any:
        found[upload_id_of(reference)] = None
        return reference

    with_references_replaced(value, note)
    if len(found) > MAX_REFERENCES:
        raise InvalidReference(f"The input refers to {len(found)} uploads; at most {MAX_REFERENCES} are accepted.")
    return tuple(found)


def with_references_replaced(value: Any, replace: Callable[[Any], Any]) -> Any:
    """The value with what `replace` makes of each reference. What it returns is not searched again.

    Lists and objects of the value are changed in place; nesting is limited by the parser (`strict_json`).
    """
    if is_reference(value):
        return replace(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            value[key] = with_references_replaced(inner, replace)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            value[index] = with_references_replaced(inner, replace)
    return value


def owner_of(caller: str) -> str:
    """The part of a key that stands for a caller: 128 bits of the SHA-256 of its name, which may have any character."""
    return hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:32]
