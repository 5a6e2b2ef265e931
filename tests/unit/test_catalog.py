"""The catalog: which models can be asked."""

import json
from pathlib import Path

import pytest

from inference.catalog import Catalog, packaged_versions
from inference.errors import ConfigurationError, UnknownModel
from tests.unit.samples import a_catalog, validate_text


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

    catalog = Catalog({"a": "one", "b": "two"}, "a", {"one": "1", "two": "2"}, load)
    assert loaded == []
    catalog.entry("b")
    assert loaded == ["two"]


def test_a_model_that_was_not_packaged_stops_the_function() -> None:
    with pytest.raises(ConfigurationError, match=r"lost, two.*make package"):
        Catalog({"a": "one", "b": "two", "c": "lost"}, "a", {"one": "1"}, lambda _: validate_text)


def test_a_default_that_is_no_model_stops_the_function() -> None:
    with pytest.raises(ConfigurationError, match="DEFAULT_MODEL is 'c'"):
        Catalog({"a": "one"}, "c", {"one": "1"}, lambda _: validate_text)


def test_versions_come_from_the_package(tmp_path: Path) -> None:
    models = {"one": {"version": "1.2", "manifest": {}}, "two": {"version": "3", "manifest": {}}}
    (tmp_path / "models.json").write_text(json.dumps(models))
    assert packaged_versions(tmp_path) == {"one": "1.2", "two": "3"}
