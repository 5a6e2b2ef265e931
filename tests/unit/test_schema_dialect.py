"""Schemas of older drafts, as JSON Schema 2020-12, accept the same values."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from inference.http.schema_dialect import as_2020_12

DRAFT_04 = {"$schema": "http://json-schema.org/draft-04/schema#"}
DRAFT_07 = {"$schema": "http://json-schema.org/draft-07/schema#"}
VALUES: list[Any] = [
    *(None, True, 0, 1, 1.5, 2, 5, "", "a", "b", "ab", [], [1], [1, "a"], ["a", 1], [1, "a", 2], [[1]], {}, {"a": 1}),
    *({"a": 1, "b": 2}, {"a": {"a": 1}}, {"a": {"a": "x"}}, {"b": 1}, {"a": "x", "b": 1}, {"c": None}, {"$ref": "x"}),
]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "integer", "minimum": 1, "exclusiveMaximum": 5},
        {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False},
        {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": {"type": "integer"}},
        {"items": {"type": "integer"}, "additionalItems": False},
        {"items": [{"type": "integer"}], "contains": {"$ref": "#/items/0"}},
        {"definitions": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/definitions/n"}}},
        {"properties": {"a": {"$ref": "#"}}, "type": ["object", "integer"]},
        {"$ref": "#/definitions/n", "type": "string", "definitions": {"n": {"type": "integer"}}},
        {"properties": {"a": {"$ref": "#/definitions/n", "minimum": 3}}, "definitions": {"n": {"type": "integer"}}},
        {"dependencies": {"a": ["b"]}},
        {"dependencies": {"a": {"properties": {"b": {"type": "string"}}}, "b": ["a"]}},
        {"if": {"type": "object"}, "then": {"required": ["a"]}, "else": {"enum": [1, "a", [1]]}},
        {"anyOf": [{"type": "string"}, {"items": [True], "additionalItems": False, "type": "array"}]},
        {"not": {"allOf": [{"type": "object"}, {"patternProperties": {"^a": {"type": "string"}}}]}},
        {"const": {"$ref": "x"}},
        {"enum": [{"$ref": "x"}, [1]], "default": {"items": []}},
        {
            "properties": {"items": {"type": "integer"}, "$ref": {"type": "string"}, "id": {}},
            "additionalProperties": False,
        },
        {**DRAFT_04, "minimum": 1, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": False},
        {**DRAFT_04, "id": "https://example.com/x", "properties": {"a": {"maximum": 1, "exclusiveMaximum": True}}},
    ],
    ids=str,
)
def test_the_same_values_are_valid(schema: dict[str, Any]) -> None:
    schema = schema if "$schema" in schema else DRAFT_07 | schema
    before = validator_for(schema)(schema)
    place = "#/components/schemas/Input.m"
    document: dict[str, Any] = {
        "$ref": place,
        "components": {"schemas": {"Input.m": as_2020_12(schema, place, "#/file")}},
    }
    Draft202012Validator.check_schema(document["components"]["schemas"]["Input.m"])
    after = Draft202012Validator(document)
    assert [after.is_valid(value) for value in VALUES] == [before.is_valid(value) for value in VALUES]


@pytest.mark.parametrize("schema", [True, False])
def test_a_boolean_is_a_schema(schema: bool) -> None:
    assert as_2020_12(schema, "#/x", "#/file") is schema


def test_a_reference_may_stand_for_a_file() -> None:
    text = {"type": "string", "contentEncoding": "base64"}
    schema = {**DRAFT_07, "properties": {"a": text, "b": {"type": "array", "items": text}, "c": {"type": "string"}}}
    file = {"type": "object", "required": ["$ref"]}
    found = Draft202012Validator(as_2020_12(schema, "#", "#/$defs/file") | {"$defs": {"file": file}})
    reference = {"$ref": "/uploads/1"}
    assert found.is_valid({"a": reference, "b": [reference, "QQ=="]})
    assert found.is_valid({"a": "QQ=="})
    assert not found.is_valid({"a": {}})
    assert not found.is_valid({"c": reference})
