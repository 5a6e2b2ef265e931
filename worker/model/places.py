"""Places in a JSON value, as a manifest names them: `image`, `pages[]`, `document.pages[].image`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

PATTERN = r"[A-Za-z_][A-Za-z0-9_-]*(\[\])*(\.[A-Za-z_][A-Za-z0-9_-]*(\[\])*)*"
EACH = "[]"
"""The part of a place that means each item of a list."""

Parts = tuple[str, ...]


def parse(place: str) -> Parts:
    """The members that lead to a place, `[]` for each item of a list."""
    return tuple(re.findall(r"\[\]|[^.\[\]]+", place))


def replace_at(value: Any, parts: Parts, replace: Callable[[Any], Any]) -> Any:
    """The value with what `replace` makes of each value at a place. Where the value has no such place, nothing is
    replaced. Lists and objects in it are changed in place.
    """
    if not parts:
        return replace(value)
    first, rest = parts[0], parts[1:]
    if first == EACH:
        if isinstance(value, list):
            value[:] = [replace_at(item, rest, replace) for item in value]
    elif isinstance(value, dict) and first in value:
        value[first] = replace_at(value[first], rest, replace)
    return value


def schema_at(schema: Mapping[str, Any], parts: Parts) -> dict[str, Any] | None:
    """The schema of a place, by `properties` and `items`; None if the schema has none there."""
    node: Any = schema
    for part in parts:
        node = node.get("items") if part == EACH else (node.get("properties") or {}).get(part)
        if not isinstance(node, dict):
            return None
    return dict(node)


def with_files(schema: dict[str, Any], places: Mapping[str, Any]) -> dict[str, Any]:
    """An input schema that accepts a reference to an upload at each place of a file, beside what it has there."""
    import copy

    changed = copy.deepcopy(schema)
    for place in places:
        parts = parse(place)
        if schema_at(schema, parts) is not None:
            _replace_schema(changed, parts)
    return changed


_REFERENCE = {
    "required": ["$ref"],
    "additionalProperties": False,
    "properties": {"$ref": {"type": "string"}},
}


def _replace_schema(schema: dict[str, Any], parts: Parts) -> None:
    holder, key = (schema, "items") if parts[0] == EACH else (schema["properties"], parts[0])
    if len(parts) > 1:
        _replace_schema(holder[key], parts[1:])
    else:
        holder[key] = {"if": {"type": "object"}, "then": _REFERENCE, "else": holder[key]}
