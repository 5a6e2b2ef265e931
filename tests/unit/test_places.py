"""Places of files in inputs and outputs, and the schemas there."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from scripts.packaging.validators import ERRORS_MODULE, render_validator
from worker.model import places

FILE = {"type": "string", "contentEncoding": "base64"}
SCHEMA = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": FILE,
        "pages": {"type": "array", "items": FILE},
        "documents": {"type": "array", "items": {"type": "object", "properties": {"scan": FILE}}},
        "text": {"type": "string"},
    },
}
REFERENCE = {"$ref": "/uploads/1"}


@pytest.mark.parametrize(
    ("place", "parts"),
    [
        ("image", ("image",)),
        ("pages[]", ("pages", "[]")),
        ("documents[].scan", ("documents", "[]", "scan")),
        ("rows[][]", ("rows", "[]", "[]")),
    ],
)
def test_parts(place: str, parts: tuple[str, ...]) -> None:
    assert places.parse(place) == parts


@pytest.mark.parametrize(
    ("place", "value", "replaced"),
    [
        ("image", {"image": 1, "text": 2}, {"image": "x", "text": 2}),
        ("pages[]", {"pages": [1, 2]}, {"pages": ["x", "x"]}),
        ("documents[].scan", {"documents": [{"scan": 1}, {}, 3]}, {"documents": [{"scan": "x"}, {}, 3]}),
        ("image", {"text": 1}, {"text": 1}),
        ("pages[]", {"pages": 5}, {"pages": 5}),
        ("image", [1], [1]),
    ],
)
def test_replacing(place: str, value: Any, replaced: Any) -> None:
    assert places.replace_at(value, places.parse(place), lambda _: "x") == replaced


def test_schemas() -> None:
    for place in ("image", "pages[]", "documents[].scan"):
        assert places.schema_at(SCHEMA, places.parse(place)) == FILE
    for place in ("none", "image.none", "image[]", "documents.scan"):
        assert places.schema_at(SCHEMA, places.parse(place)) is None


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("validators_of_places")
    source = render_validator(
        places.with_files(SCHEMA, dict.fromkeys(["image", "pages[]", "documents[].scan"], "bytes"))
    )
    source = source.replace("from validators._errors import Violation", ERRORS_MODULE)
    (folder / "generated.py").write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("generated_for_places", folder / "generated.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "value",
    [
        {"image": REFERENCE},
        {"image": "aGk="},
        {"image": REFERENCE, "pages": [REFERENCE, "aGk="], "documents": [{"scan": REFERENCE}], "text": "a"},
    ],
)
def test_a_reference_is_valid_where_a_file_is(validator: Any, value: Any) -> None:
    validator.validate(value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"image": REFERENCE, "text": REFERENCE}, ["data", "text"]),
        ({"image": 5}, ["data", "image"]),
        ({"image": {"$ref": "/uploads/1", "more": 1}}, ["data", "image"]),
        ({"image": {}}, ["data", "image"]),
        ({"image": "not base64!"}, ["data", "image"]),
        ({"image": REFERENCE, "pages": [REFERENCE, 5]}, ["data", "pages", "1"]),
        ({}, ["data"]),
    ],
)
def test_and_nowhere_else(validator: Any, value: Any, path: list[str]) -> None:
    with pytest.raises(validator.Violation) as error:
        validator.validate(value)
    assert error.value.path == path


def test_the_schema_itself_is_not_changed() -> None:
    before = repr(SCHEMA)
    assert places.with_files(SCHEMA, {"image": "bytes"}) != SCHEMA
    assert repr(SCHEMA) == before
