"""Schemas become validators, and what is wrong with one is told with its place."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastjsonschema.draft07 import CodeGeneratorDraft07

from inference.catalog import packaged_validator
from inference.errors import InvalidInput
from scripts.packaging import validators
from scripts.packaging.validators import ERRORS_MODULE, SchemaError, render_validator


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "object", "properties": {"text": {"type": "text"}}}, "/properties/text/type: 'text' is not valid"),
        ({"type": "object", "properties": {"a/b": {"items": [{}, {"pattern": "("}]}}}, "b/items/1/pattern: "),
        ({"anyOf": [{"$ref": "#/definitions/a"}], "definitions": {"a": {"required": 1}}}, "/definitions/a/required: "),
        ({"type": "object", "properties": 1}, "/properties: 1 is not of type 'object'"),
        ({"type": "object", "properties": {"a": {"$ref": "#/definitions/none"}}}, "Unresolvable ref"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:9/a.json"}}}, "/properties/a/$ref: http://127.0.0.1:9/"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "/properties/a/$ref: other.json#/a is an external"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "/$schema: .*draft-04, draft-06 or draft-07"),
    ],
)  # fmt: skip
def test_a_wrong_schema_is_rejected_with_the_place(schema: dict[str, Any], told: str) -> None:
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
    assert "\ndef validate(" in render_validator(schema)
    assert json.dumps(schema) == before


# Every keyword of draft-07: a schema, an input that it takes, one that it rejects, and what the rejection says.
KEYWORDS: dict[str, tuple[Any, Any, Any, str]] = {
    "type": ({"type": ["string", "null"]}, None, True, "data must be string or null"),
    "integer": ({"type": "integer"}, 2.0, 2.5, "data must be integer"),
    "enum": ({"enum": ["a", None, True]}, None, "b", 'data must be one of "a", null, true'),
    "const": ({"const": {"a": [None]}}, {"a": [None]}, {"a": None}, 'data must be {"a": [null]}'),
    "multipleOf": ({"multipleOf": 0.5}, 1.5, 1.25, "data must be a multiple of 0.5"),
    "maximum": ({"maximum": 1}, 1, 1.5, "data must be smaller than or equal to 1"),
    "exclusiveMaximum": ({"exclusiveMaximum": 1}, 0.5, 1, "data must be smaller than 1"),
    "minimum": ({"minimum": 1}, 1, 0.5, "data must be bigger than or equal to 1"),
    "exclusiveMinimum": ({"exclusiveMinimum": 1}, 1.5, 1, "data must be bigger than 1"),
    "maxLength": ({"maxLength": 1}, "\u20ac", "ab", "data must be shorter than or equal to 1 characters"),
    "minLength": ({"minLength": 2}, "ab", "\u20ac", "data must be longer than or equal to 2 characters"),
    "pattern": ({"pattern": "^a"}, "ab", "ba", "data must match pattern ^a"),
    "items": ({"items": {"type": "number"}}, [1], [1, "a"], "data[1] must be number"),
    "additionalItems": ({"items": [{}], "additionalItems": False}, [1], [1, 2], "data must contain only specified"),
    "maxItems": ({"maxItems": 1}, [1], [1, 2], "data must contain less than or equal to 1 items"),
    "minItems": ({"minItems": 1}, [1], [], "data must contain at least 1 items"),
    "uniqueItems": ({"uniqueItems": True}, [1, True, {"a": [1]}], [{"a": 1}, {"a": 1}], "data must contain unique"),
    "contains": ({"contains": {"type": "number"}}, ["a", 1], ["a"], "data must contain one of contains definition"),
    "maxProperties": (
        {"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}, "data must contain less than or equal to 1 properties"
    ),
    "minProperties": ({"minProperties": 1}, {"a": 1}, {}, "data must contain at least 1 properties"),
    "required": ({"required": ["b", "a", "c"]}, {"a": 1, "b": 1, "c": 1}, {"c": 1},
                 'data must have properties "a", "b"'),
    "properties": ({"properties": {"a": {"type": "null"}}}, {"a": None}, {"a": 0}, "data.a must be null"),
    "patternProperties": ({"patternProperties": {"^x": {"minimum": 1}}}, {"x1": 1}, {"x1": 0}, "data.x1 must be"),
    "additionalProperties": (
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False},
        {"a": 1, "x1": 2}, {"a": 1, "x": 2, "d": 3, "c": 4, "b'\"": 5},
        'data must not have properties "b\'\\"", "c", "d"',
    ),
    "additionalProperties schema": ({"additionalProperties": {"type": "null"}}, {"a": None}, {"a": 1}, "data.a must"),
    "dependencies": ({"dependencies": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}, "data missing dependency b for a"),
    "dependencies schema": ({"dependencies": {"a": {"minProperties": 2}}}, {"b": 1}, {"a": 1}, "data must contain at"),
    "propertyNames": ({"propertyNames": {"pattern": "^a"}}, {"ab": 1}, {"b": 1}, "data must be named by propertyName"),
    "if then": ({"if": {"type": "string"}, "then": {"minLength": 2}}, 1, "a", "data must be longer than or equal to 2"),
    "if else": ({"if": {"type": "string"}, "else": {"minimum": 2}}, "a", 1, "data must be bigger than or equal to 2"),
    "allOf": ({"allOf": [{"type": "number"}, {"minimum": 2}]}, 2, 1, "data must be bigger than or equal to 2"),
    "anyOf": (
        {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "number"}]}}},
        {"a": 1}, {"a": None}, "data.a cannot be validated by any definition",
    ),
    "oneOf": ({"oneOf": [{"multipleOf": 3}, {"multipleOf": 5}]}, 9, 15, "data must be valid exactly by one"),
    "not": ({"not": {"type": "null"}}, 1, None, "data must NOT match a disallowed definition"),
    "format": ({"format": "date-time"}, "2026-01-01T00:00:00Z", "today", "data must be date-time"),
    "contentEncoding": ({"contentEncoding": "base64"}, "YQ==", "a", "data must be encoded by base64"),
    "contentMediaType": ({"contentMediaType": "application/json"}, "[1]", "[", "data must be valid JSON"),
    "$ref": (
        {"properties": {"a": {"$ref": "#/definitions/b"}}, "definitions": {"b": {"type": "string"}}},
        {"a": "x"}, {"a": 1}, "data.a must be string",
    ),
    "recursion": ({"items": {"$ref": "#"}, "not": {"type": "string"}}, [[1, []]], [[1, ["a"]]], "data[0][1][0] must"),
    "false": ({"properties": {"a": False}}, {"b": 1}, {"a": 1}, "data.a must not be there"),
}  # fmt: skip


@pytest.fixture(scope="module")
def packaged_keywords(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A package with a validator of each keyword. Gives its module's name in `validators` by keyword."""
    folder = tmp_path_factory.mktemp("package") / "validators"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "_errors.py").write_text(ERRORS_MODULE, encoding="utf-8")
    names = {keyword: f"k{index}" for index, keyword in enumerate(KEYWORDS)}
    for keyword, (schema, *_) in KEYWORDS.items():
        (folder / f"{names[keyword]}.py").write_text(render_validator(schema), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder.parent)
        yield names
    packaged_validator.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "validators"]:
        del sys.modules[name]


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_every_keyword_accepts_and_rejects(packaged_keywords: dict[str, str], keyword: str) -> None:
    _, accepted, rejected, told = KEYWORDS[keyword]
    validate = packaged_validator(packaged_keywords[keyword])
    assert validate(accepted) is accepted
    with pytest.raises(InvalidInput) as error:
        validate(rejected)
    assert str(error.value).startswith(told)


def test_no_keyword_that_is_supported_is_left_out() -> None:
    said = json.dumps([schema for schema, *_ in KEYWORDS.values()])
    known = CodeGeneratorDraft07({})._json_keywords_to_function  # type: ignore[no-untyped-call]
    assert [keyword for keyword in known if f'"{keyword}":' not in said] == []


def test_a_number_beyond_a_float_violates_the_schema(packaged_keywords: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="too large"):
        packaged_validator(packaged_keywords["multipleOf"])(10**400)


def test_a_validator_with_an_undefined_name_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validators, "_OUR_NAMES", "JsonSchemaValueException = Violation\n")
    monkeypatch.setattr(
        validators, "_OUR_IMPORT", "from validators._errors import Violation\n\n" + validators._OUR_NAMES
    )
    with pytest.raises(SchemaError, match="JsonSchemaValuesException"):
        render_validator({"properties": {"a": {"not": {"type": "null"}}}})


def test_a_validator_that_crashes_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validators, "_TRIED_VALUES", (10**400,))
    with pytest.raises(SchemaError, match="OverflowError"):
        render_validator({"multipleOf": 0.5})


@pytest.mark.parametrize(
    ("examples", "problem"),
    [([{"n": 1}, {"n": "x"}], "/examples/1: .*'x' is not of type"), ([{}], "/examples/0: .*'n'"), ({}, "/examples")],
)
def test_an_example_that_violates_its_schema_is_rejected(examples: Any, problem: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert render_validator(schema | {"examples": [{"n": 1}]})
    with pytest.raises(SchemaError, match=problem):
        render_validator(schema | {"examples": examples})
