"""JSON Schemas of draft-04, -06 and -07, which manifests have, as JSON Schema 2020-12, which OpenAPI 3.1 has.

The generated validators read the manifest's own schema; this is for readers of the description. A schema becomes a part
of a larger document, so its references, which begin at its root, have to begin at the document's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SCHEMA = frozenset(
    ("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
)
_SCHEMAS = frozenset(("allOf", "anyOf", "oneOf"))
_NAMED_SCHEMAS = frozenset(("definitions", "patternProperties", "properties"))
_BOUNDS = {"exclusiveMaximum": "maximum", "exclusiveMinimum": "minimum"}


def as_2020_12(schema: Any, place: str, file: str | None) -> Any:
    """A schema that accepts the same values, and references to files, to be put at a place of another document.

    Args:
        schema: a schema of draft-04, -06 or -07.
        place: reference to where it will be, such as `#/components/schemas/Input.sentiment`.
        file: reference to the schema of what may stand for a file: for a text that is declared as base64; None: it is
            not replaced.
    """
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:  # what stands beside a reference does not count in these drafts
        kept = {key: schema[key] for key in ("definitions",) if key in schema}
        return {"$ref": _reference(schema["$ref"], place), **as_2020_12(kept, place, file)}
    converted: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("$id", "$schema", "id"):
            continue
        if key == "items" and isinstance(value, list):
            converted["prefixItems"] = [as_2020_12(each, place, file) for each in value]
        elif key == "additionalItems":
            if isinstance(schema.get("items"), list):  # else it does not count
                converted["items"] = as_2020_12(value, place, file)
        elif key == "dependencies":
            converted |= _dependencies(value, place, file)
        elif key in _BOUNDS and isinstance(value, bool):  # draft-04
            if value and _BOUNDS[key] in schema:
                converted[key] = schema[_BOUNDS[key]]
        elif not (key in _BOUNDS.values() and _is_exclusive(schema, key)):
            converted[key] = _value(key, value, place, file)
    if file is None or schema.get("contentEncoding") != "base64":
        return converted
    return {"anyOf": [converted, {"$ref": file}]}


def _value(key: str, value: Any, place: str, file: str | None) -> Any:
    if key in _SCHEMA:
        return as_2020_12(value, place, file)
    if key in _SCHEMAS:
        return [as_2020_12(each, place, file) for each in value]
    if key in _NAMED_SCHEMAS:
        return {name: as_2020_12(each, place, file) for name, each in value.items()}
    return value


def _dependencies(dependencies: Mapping[str, Any], place: str, file: str | None) -> dict[str, Any]:
    names = {name: each for name, each in dependencies.items() if isinstance(each, list)}
    schemas = {name: as_2020_12(each, place, file) for name, each in dependencies.items() if name not in names}
    return ({"dependentRequired": names} if names else {}) | ({"dependentSchemas": schemas} if schemas else {})


def _is_exclusive(schema: Mapping[str, Any], bound: str) -> bool:
    return any(schema.get(key) is True for key, inclusive in _BOUNDS.items() if inclusive == bound)


def _reference(reference: str, place: str) -> str:
    if reference != "#" and not reference.startswith("#/"):
        return reference
    return place + re.sub(r"/items/(?=\d)", "/prefixItems/", reference[1:])
