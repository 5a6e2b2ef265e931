"""The catalog: which models can be asked."""

import json
from pathlib import Path

import pytest

from inference.catalog import Catalog, PackagedModel, PackagedModels
from inference.errors import ConfigurationError, UnknownModel
from tests.unit.samples import a_catalog, a_packaged_model, validate_text


def test_a_model_by_its_name_and_the_default() -> None:
    catalog = a_catalog()
    assert [catalog.entry(name).name for name in ("echo", "other", None, "")] == ["echo", "other", "echo", "echo"]
    assert catalog.entry("other").version == "1.0.0"


@pytest.mark.parametrize("name", ["nope", "Echo", "../echo", "echo-dlq", "x" * 5000])
def test_an_unknown_model_is_told_which_there_are(name: str) -> None:
    with pytest.raises(UnknownModel, match="echo, other") as error:
        a_catalog().entry(name)
    assert len(str(error.value)) < 200


def test_a_validator_is_loaded_when_its_model_is_first_asked() -> None:
    loaded: list[str] = []

    def load(source: str) -> object:
        loaded.append(source)
        return validate_text

    catalog = Catalog({"a": "one", "b": "two"}, "a", {"one": a_packaged_model("1"), "two": a_packaged_model("2")}, load)
    assert loaded == []
    catalog.entry("b")
    assert loaded == ["two"]


def test_a_model_that_was_not_packaged_stops_the_function() -> None:
    with pytest.raises(ConfigurationError, match=r"lost, two.*make package"):
        Catalog({"a": "one", "b": "two", "c": "lost"}, "a", {"one": a_packaged_model()}, lambda _: validate_text)


def test_a_default_that_is_no_model_stops_the_function() -> None:
    with pytest.raises(ConfigurationError, match="DEFAULT_MODEL is 'c'"):
        Catalog({"a": "one"}, "c", {"one": a_packaged_model()}, lambda _: validate_text)


@pytest.mark.parametrize(("examples", "example"), [({}, None), ({"examples": [{"n": 1}, {"n": 2}]}, {"n": 1})])
@pytest.mark.parametrize("files", [{}, {"input_files": {"image": "path"}}])
def test_a_model_is_described_by_its_manifest(
    tmp_path: Path, examples: dict[str, object], example: object, files: dict[str, dict[str, str]]
) -> None:
    manifest = {
        "version": "1.2",
        "description": "Adds one.",
        "input_schema": {"type": "object", **examples},
        "output_schema": {"type": "object"},
        "memory_mb": 256,
        **files,
    }
    (tmp_path / "one.json").write_text(json.dumps(manifest))
    schemas = ({"type": "object", **examples}, {"type": "object"})
    described = PackagedModel("1.2", "Adds one.", *schemas, example, 256, files.get("input_files", {}))
    assert PackagedModels(tmp_path) == {"one": described}


def test_a_manifest_is_read_when_its_model_is_first_asked(tmp_path: Path) -> None:
    manifest = {"version": "1", "description": "", "input_schema": {}, "output_schema": {}, "memory_mb": 512}
    (tmp_path / "one.json").write_text(json.dumps(manifest))
    (tmp_path / "two.json").write_text("never read")
    packaged = PackagedModels(tmp_path)
    catalog = Catalog({"a": "one", "b": "two"}, "a", packaged, lambda _: validate_text)
    assert (catalog.entry("a").version, list(packaged)) == ("1", ["one", "two"])
    (tmp_path / "one.json").unlink()
    assert catalog.packaged("a").version == "1", "it is read once"


def test_the_description_of_an_unknown_model() -> None:
    assert a_catalog().packaged("other") == a_packaged_model()
    with pytest.raises(UnknownModel, match="echo, other"):
        a_catalog().packaged("nope")
