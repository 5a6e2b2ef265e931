"""Files in inputs, in the form of Replicate and Cog: there a file is the text of a link."""

from __future__ import annotations

from typing import Any

from inference.references import is_reference


def with_links(value: Any) -> Any:
    """A copy of an input with each `{"$ref": "https://..."}` replaced by the link itself."""
    if is_reference(value):
        return value["$ref"]
    if isinstance(value, dict):
        return {key: with_links(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_links(inner) for inner in value]
    return value
