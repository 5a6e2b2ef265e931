"""A model's manifest is checked, and what is wrong with it named."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.model_folders import SENTIMENT, WORDCOUNT, plain_manifest
from worker.model import Manifest
from worker.model.errors import ManifestError


@pytest.fixture
def plain() -> dict[str, Any]:
    return plain_manifest()


def test_the_manifests_of_the_repository_are_right() -> None:
    sentiment, wordcount = (Manifest.read(f / "manifest.json") for f in (SENTIMENT, WORDCOUNT))
    assert (sentiment.name, sentiment.batch_size, sentiment.runtime) == ("sentiment", 10, "onnx")
    assert sorted(sentiment.artifacts) == ["onnx", "torchscript"]
    assert sentiment.artifact == sentiment.artifacts["onnx"]
    for artifact in sentiment.artifacts.values():
        assert artifact.bytes == (SENTIMENT / artifact.file).stat().st_size <= 2_000_000
        assert artifact.sha256 == hashlib.sha256((SENTIMENT / artifact.file).read_bytes()).hexdigest()
    assert (wordcount.runtime, wordcount.artifact) == ("python", None)


ARTIFACT = {"file": "a.pt", "sha256": "0" * 64, "bytes": 1}
WRONG: list[tuple[str, Any]] = [
    ("name", "Upper"),
    ("name", "orders-dlq"),
    ("name", None),
    ("version", ""),
    ("version", 1),
    ("runtime", "tensorflow"),
    ("batch_size", 0),
    ("batch_size", True),
    ("batch_size", "10"),
    ("batch_window_seconds", 301),
    ("memory_mb", 127),
    ("timeout_seconds", 2),
    ("timeout_seconds", 901),
    ("input_schema", {"type": "array"}),
    ("output_schema", None),
    ("artifacts", {"onnx": ARTIFACT}),
    ("batchsize", 10),
    ("permanent_errors", "ValueError"),
    ("permanent_errors", ["no name"]),
    ("permanent_errors", ["ValueError", 3]),
    ("permanent_errors", ["PIL."]),
    ("input_files", ["image"]),
    ("input_files", {"image": "file"}),
    ("input_files", {"a..b": "bytes"}),
    ("input_files", {"[]": "bytes"}),
    ("output_files", {"image": "png"}),
    ("output_files", {"image": "image/png; q=1"}),
    ("backend", "runpod"),
]


FILE = {"type": "string", "contentEncoding": "base64"}


def test_files_are_where_the_schema_has_base64(plain: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"image": FILE, "text": {"type": "string"}}}
    declared = plain | {"input_schema": schema, "input_files": {"image": "path"}, "output_files": {"any": "image/png"}}
    manifest = Manifest.parse(declared)
    assert (manifest.input_files, manifest.output_files) == ({"image": "path"}, {"any": "image/png"})
    for wrong in ({"text": "path"}, {"none": "path"}, {"image[]": "path"}):
        with pytest.raises(ManifestError, match=rf"input_files\.{re.escape(next(iter(wrong)))} must have the schema"):
            Manifest.parse(declared | {"input_files": wrong})
    with pytest.raises(ManifestError, match=r"output_files\.text must have the schema"):
        Manifest.parse(declared | {"output_schema": schema, "output_files": {"text": "text/plain"}})


def test_a_backend_has_the_settings_that_belong_to_a_model(plain: dict[str, Any]) -> None:
    settings = {"kind": "runpod", "endpoint": "abc", "poll_seconds": {"min": 5, "max": 60}}
    assert Manifest.parse(plain | {"backend": settings}).backend == settings
    assert Manifest.parse(plain).backend == {}
    with pytest.raises(ManifestError, match=r"backend\.token_secret_arn is not a setting of a backend that belongs"):
        Manifest.parse(plain | {"backend": settings | {"token_secret_arn": "arn"}})


def test_files_may_be_absent(plain: dict[str, Any]) -> None:
    assert Manifest.parse(plain).input_files == Manifest.parse(plain).output_files == {}


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_manifest_is_rejected_with_the_fields_name(plain: dict[str, Any], field: str, value: Any) -> None:
    with pytest.raises(ManifestError, match=rf"^here: {field} "):
        Manifest.parse(plain | {field: value}, where="here")


@pytest.mark.parametrize("field", ["name", "version", "runtime", "batch_size", "timeout_seconds", "input_schema"])
def test_a_missing_field_is_named(plain: dict[str, Any], field: str) -> None:
    del plain[field]
    with pytest.raises(ManifestError, match=f"^manifest: {field} is missing$"):
        Manifest.parse(plain)


def test_every_problem_is_told_at_once(plain: dict[str, Any]) -> None:
    del plain["version"]
    wrong = plain | {"runtime": "onnx", "artifacts": {"onnx": {"file": "a"}}, "batch_size": 0, "memmory_mb": 1}
    with pytest.raises(ManifestError) as told:
        Manifest.parse(wrong, where="here")
    assert re.findall(r"(?:here:|;) (\S+) (?:is|must)", str(told.value)) == [
        "memmory_mb",
        "batch_size",
        "version",
        "artifacts.onnx.sha256",
        "artifacts.onnx.bytes",
    ]


@pytest.mark.parametrize(
    ("field", "value"), [("file", "../a.pt"), ("file", "/etc/a"), ("file", ".."), ("sha256", "0"), ("bytes", 0)]
)
def test_a_wrong_artifact_entry_is_named(plain: dict[str, Any], field: str, value: Any) -> None:
    wrong = plain | {"runtime": "onnx", "artifacts": {"onnx": ARTIFACT | {field: value}}}
    with pytest.raises(ManifestError, match=rf"artifacts\.onnx\.{field} "):
        Manifest.parse(wrong)


def test_a_runtime_needs_an_artifact(plain: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="artifacts is missing"):
        Manifest.parse(plain | {"runtime": "torchscript"})
    with pytest.raises(ManifestError, match="artifacts must have one for runtime 'torchscript'; there is onnx"):
        Manifest.parse(plain | {"runtime": "torchscript", "artifacts": {"onnx": ARTIFACT}})
    with pytest.raises(ManifestError, match=r"artifacts must be a JSON object$"):
        Manifest.parse(plain | {"runtime": "torchscript", "artifacts": "a.pt"})
    with pytest.raises(ManifestError, match="tensorflow is not a known field; known are"):
        Manifest.parse(plain | {"runtime": "onnx", "artifacts": {"tensorflow": ARTIFACT}})


def test_plain_python_may_have_an_artifact(plain: dict[str, Any]) -> None:
    both = Manifest.parse(plain | {"artifacts": {"python": ARTIFACT | {"file": "w.npz"}, "onnx": ARTIFACT}})
    assert both.artifact is not None
    assert both.artifact.file == "w.npz"
    assert Manifest.parse(plain | {"artifacts": None}).artifact is None
    with pytest.raises(ManifestError, match="artifacts must have one for runtime 'python'; there is onnx"):
        Manifest.parse(plain | {"artifacts": {"onnx": ARTIFACT}})
    with pytest.raises(ManifestError, match=r"artifacts\.python\.sha256 must be"):
        Manifest.parse(plain | {"artifacts": {"python": ARTIFACT | {"sha256": "0"}}})


def test_a_batch_over_ten_needs_a_window(plain: dict[str, Any]) -> None:
    Manifest.parse(plain | {"batch_size": 11, "batch_window_seconds": 1})
    with pytest.raises(ManifestError, match="batch_window_seconds must be >= 1"):
        Manifest.parse(plain | {"batch_size": 11})


def test_an_absent_or_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(ManifestError, match=r"manifest\.json: no such file"):
        Manifest.read(path)
    path.write_text("{")
    with pytest.raises(ManifestError, match=r"manifest\.json: cannot be read as JSON"):
        Manifest.read(path)
    path.write_text("[]")
    with pytest.raises(ManifestError, match="must be a JSON object"):
        Manifest.read(path)


def test_permanent_errors_may_be_absent(plain: dict[str, Any]) -> None:
    assert Manifest.parse(plain).permanent_errors == ()
    names = ["ValueError", "PIL.UnidentifiedImageError"]
    assert Manifest.parse(plain | {"permanent_errors": names}).permanent_errors == tuple(names)
