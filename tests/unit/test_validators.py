"""Schemas become validators, and what is wrong with one is told with its place."""

import json
from typing import Any

import pytest

from scripts.validators import SchemaError, render_validator


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "object", "properties": {"text": {"type": "text"}}}, "/properties/text: Unknown type"),
        ({"type": "object", "properties": {"a/b": {"items": [{}, {"pattern": "("}]}}}, "/properties/a~1b/items/1: "),
        ({"anyOf": [{"$ref": "#/definitions/a"}], "definitions": {"a": {"required": 1}}}, "/definitions/a: "),
        ({"type": "object", "properties": 1}, "is no valid JSON Schema"),
        ({"type": "object", "properties": {"a": {"$ref": "#/definitions/none"}}}, "Unresolvable ref"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:9/a.json"}}}, "/properties/a/$ref: refers to http://127.0.0.1:9/"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "/properties/a/$ref: refers to other.json"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "/$schema: .*draft-04, draft-06 and draft-07"),
    ],
)  # fmt: skip
def test_a_wrong_schema_is_refused_with_the_place(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(SchemaError, match=told.replace("$", r"\$")):
        render_validator(schema)


@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07"])
def test_every_draft_that_is_supported_may_refer_to_itself(draft: str) -> None:
    schema = {
        "$schema": f"http://json-schema.org/{draft}/schema#",
        "$id": "https://example.org/mine.json",
        "properties": {"a": {"$ref": "#/definitions/b"}},
        "definitions": {"b": {"type": "string"}},
    }
    before = json.dumps(schema)
    assert "validate" in render_validator(schema)
    assert json.dumps(schema) == before
