"""The model seam: manifests are checked, artifacts verified, a model author's mistakes named."""

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker import artifact as artifacts
from worker.model import (
    ArtifactError,
    InputError,
    LoadedModel,
    Manifest,
    ManifestError,
    ModelError,
    OutputError,
    load,
    threads_for,
)

ROOT = Path(__file__).resolve().parents[2]
WORDCOUNT = ROOT / "tests" / "e2e" / "models" / "wordcount"
SENTIMENT = ROOT / "worker" / "models" / "sentiment"

Folder = Callable[[str], Path]


@pytest.fixture
def plain() -> dict[str, Any]:
    """A right manifest of a plain Python model."""
    manifest: dict[str, Any] = json.loads((WORDCOUNT / "manifest.json").read_text())
    return manifest


@pytest.fixture
def folder(tmp_path: Path, plain: dict[str, Any]) -> Folder:
    """Makes a model folder whose class has the given body of `predict`."""

    def make(body: str) -> Path:
        (tmp_path / "manifest.json").write_text(json.dumps(plain))
        (tmp_path / "model.py").write_text(
            "from worker.model import InputError, Model\n"
            "class Mine(Model):\n"
            "    def predict(self, inputs):\n"
            f"        {body}\n"
        )
        return tmp_path

    return make


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Artifacts that were opened; replaces the runtimes, so that these tests import no torch."""
    paths: list[Path] = []
    monkeypatch.setattr("worker.model.open_runtime", lambda kind, path, *, threads: paths.append(path))
    return paths


class FakeS3:
    """An S3 with one object. `broken` bodies are cut short; the object changes before the ranged read `change_at`."""

    def __init__(self, content: bytes, etag: str = '"1"') -> None:
        self.content, self.etag, self.ranges = content, etag, list[str]()
        self.broken, self.change_at = 0, -1

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        assert (Bucket, Key) == ("bucket", "models/a.pt")
        return {"ETag": self.etag, "ContentLength": len(self.content)}

    def get_object(self, *, Bucket: str, Key: str, Range: str, IfMatch: str) -> dict[str, Any]:
        assert (Bucket, Key) == ("bucket", "models/a.pt")
        if len(self.ranges) == self.change_at:
            self.etag = '"changed"'
        if self.etag != IfMatch:
            raise OSError("PreconditionFailed")
        self.ranges.append(Range)
        first, _, last = Range.removeprefix("bytes=").partition("-")
        body = self.content[int(first) : int(last) + 1]
        if self.broken:
            self.broken -= 1
            body = body[:-1]
        return {"Body": io.BytesIO(body)}


URI = "s3://bucket/models/a.pt"


# --- manifest


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
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_manifest_is_refused_with_the_fields_name(plain: dict[str, Any], field: str, value: Any) -> None:
    with pytest.raises(ManifestError, match=rf"^here: {field} "):
        Manifest.parse(plain | {field: value}, where="here")


@pytest.mark.parametrize("field", ["name", "version", "runtime", "batch_size", "timeout_seconds", "input_schema"])
def test_a_missing_field_is_named(plain: dict[str, Any], field: str) -> None:
    del plain[field]
    with pytest.raises(ManifestError, match=field):
        Manifest.parse(plain)


@pytest.mark.parametrize(
    ("field", "value"), [("file", "../a.pt"), ("file", "/etc/a"), ("file", ".."), ("sha256", "0"), ("bytes", 0)]
)
def test_a_wrong_artifact_entry_is_named(plain: dict[str, Any], field: str, value: Any) -> None:
    wrong = plain | {"runtime": "onnx", "artifacts": {"onnx": ARTIFACT | {field: value}}}
    with pytest.raises(ManifestError, match=rf"artifacts\.onnx\.{field} "):
        Manifest.parse(wrong)


def test_a_runtime_needs_an_artifact(plain: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="artifacts must be a JSON object"):
        Manifest.parse(plain | {"runtime": "torchscript"})
    with pytest.raises(ManifestError, match="artifacts must have one for runtime 'torchscript'; there is onnx"):
        Manifest.parse(plain | {"runtime": "torchscript", "artifacts": {"onnx": ARTIFACT}})
    with pytest.raises(ManifestError, match="tensorflow is not a known field; known are"):
        Manifest.parse(plain | {"runtime": "onnx", "artifacts": {"tensorflow": ARTIFACT}})


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


# --- loading


def test_a_plain_python_model_predicts() -> None:
    model = load(WORDCOUNT, threads=1)
    assert (model.name, model.version, model.batch_size) == ("wordcount", "1.0.0", 10)
    assert model.predict([{"text": "two words"}, {"text": ""}]) == [{"words": 2}, {"words": 0}]
    assert model.size({"text": "two words"}) is None


def test_loading_a_plain_python_model_imports_no_library() -> None:
    code = (
        "import sys; from pathlib import Path; from worker.model import load; "
        f"load(Path({str(WORDCOUNT)!r}), threads=1); "
        "print(sorted({'torch', 'numpy', 'onnxruntime', 'boto3'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_may_import_its_neighbours(folder: Folder) -> None:
    source = folder("return [{'n': ANSWER}]")
    (source / "tokens.py").write_text("ANSWER = 42\n")
    (source / "model.py").write_text("from .tokens import ANSWER\n" + (source / "model.py").read_text())
    assert load(source, threads=1).predict([{}]) == [{"n": 42}]


@pytest.mark.parametrize("code", ["", "from worker.model import Model", "class A: pass"])
def test_a_folder_without_a_model_class_is_refused(folder: Folder, code: str) -> None:
    source = folder("return []")
    (source / "model.py").write_text(code)
    with pytest.raises(ModelError, match="must define one subclass"):
        load(source, threads=1)


def test_of_several_classes_the_one_named_model_is_taken(folder: Folder) -> None:
    source = folder("return []")
    classes = "import worker.model as m\nclass Helper(m.Model): pass\nclass {}(Helper): pass\n"
    (source / "model.py").write_text(classes.format("Model"))
    assert type(load(source, threads=1).model).__name__ == "Model"


# --- predicting


def test_an_input_error_keeps_its_place(folder: Folder) -> None:
    body = "return [InputError('no vowels') if i['text'] == 'x' else {'ok': True} for i in inputs]"
    first, second = load(folder(body), threads=1).predict([{"text": "a"}, {"text": "x"}])
    assert first == {"ok": True}
    assert isinstance(second, InputError)
    assert str(second) == "no vowels"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [{}]", "returned 1 outputs for 2 inputs"),
        ("return [{}, {}, {}]", "returned 3 outputs for 2 inputs"),
        ("return [{}, [1]]", "output 1 is a list"),
        ("return [{'p': float('nan')}, {}]", "output 0 cannot be JSON"),
        ("return [{}, {'p': float('inf')}]", "output 1 cannot be JSON"),
        ("return [{}, {'p': object()}]", "output 1 cannot be JSON"),
    ],
)
def test_a_wrong_output_is_the_models_fault(folder: Folder, body: str, message: str) -> None:
    with pytest.raises(OutputError, match=f"model wordcount: .*{message}"):
        load(folder(body), threads=1).predict([{}, {}])


@pytest.mark.parametrize("sizes", [[1, 50, 2, 49], [5, 5, 5], [1]])
def test_inputs_of_like_size_are_predicted_together_and_answered_in_order(folder: Folder, sizes: list[int]) -> None:
    source = folder("self.passes.append(len(inputs)); return [{'n': i['n']} for i in inputs]")
    with (source / "model.py").open("a") as file:
        file.write("    pass_cost = 10\n    passes = []\n    def size(self, item): return item['n']\n")
    model = load(source, threads=1)
    assert model.predict([{"n": size} for size in sizes]) == [{"n": size} for size in sizes]
    assert model.model.passes == ([2, 2] if len(sizes) == 4 else [len(sizes)])  # type: ignore[attr-defined]


# --- artifacts


def _sentiment(tmp_path: Path, content: bytes) -> Path:
    for name in ("manifest.json", "model.py"):
        (tmp_path / name).write_bytes((SENTIMENT / name).read_bytes())
    (tmp_path / "sentiment.onnx").write_bytes(content)
    return tmp_path


def test_a_tampered_artifact_is_refused(tmp_path: Path, opened: list[Path]) -> None:
    content = bytearray((SENTIMENT / "sentiment.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ArtifactError, match=r"sentiment\.onnx: SHA-256 is"):
        load(_sentiment(tmp_path, bytes(content)), threads=1)
    assert opened == []


def test_a_missing_artifact_is_named(tmp_path: Path, opened: list[Path]) -> None:
    source = _sentiment(tmp_path, b"")
    (source / "sentiment.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"sentiment\.onnx: cannot be read: No such file"):
        load(source, threads=1)


def test_an_s3_artifact_replaces_the_packaged_one(
    tmp_path: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    s3 = FakeS3(b"weights")
    model = load(SENTIMENT, artifact=URI, threads=1, s3_client=lambda: s3)
    assert isinstance(model, LoadedModel)
    assert [path.read_bytes() for path in opened] == [b"weights"]


def test_a_download_is_kept_until_the_object_changes(tmp_path: Path) -> None:
    s3 = FakeS3(b"old")
    first = artifacts.download(URI, lambda: s3, cache=tmp_path)
    assert artifacts.download(URI, lambda: s3, cache=tmp_path) == first
    assert len(s3.ranges) == 1
    s3.content, s3.etag = b"new", '"2"'
    assert artifacts.download(URI, lambda: s3, cache=tmp_path).read_bytes() == b"new"


def test_a_given_digest_is_verified(tmp_path: Path) -> None:
    s3 = FakeS3(b"another")
    uri = f"{URI}#sha256={hashlib.sha256(b'weights').hexdigest()}"
    with pytest.raises(ArtifactError, match="another SHA-256"):
        artifacts.download(uri, lambda: s3, cache=tmp_path)
    s3.content = b"weights"  # the wrong object must not have stayed in the cache
    path = artifacts.download(uri, lambda: s3, cache=tmp_path)
    assert path.read_bytes() == b"weights"
    path.write_bytes(b"altered on disk")
    with pytest.raises(ArtifactError, match="SHA-256 is"):
        artifacts.download(uri, lambda: s3, cache=tmp_path)


def test_a_big_object_comes_in_parts_each_to_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "PART_BYTES", 7)
    s3 = FakeS3(bytes(range(250)))
    s3.broken = 2
    assert artifacts.download(URI, lambda: s3, cache=tmp_path).read_bytes() == s3.content
    assert set(s3.ranges) == {f"bytes={start}-{min(start + 7, 250) - 1}" for start in range(0, 250, 7)}
    assert len(s3.ranges) == len(set(s3.ranges)) + 2, "the two that broke off were fetched again"


def test_parts_of_two_versions_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "PART_BYTES", 7)
    s3 = FakeS3(bytes(250))
    s3.change_at = 5
    with pytest.raises(ArtifactError, match="cannot be downloaded: PreconditionFailed"):
        artifacts.download(URI, lambda: s3, cache=tmp_path)
    assert list(tmp_path.iterdir()) == [], "a part of a download must not fill the disk"


def test_a_digest_needs_no_call_when_the_disk_is_warm(tmp_path: Path) -> None:
    s3 = FakeS3(b"weights")
    uri = f"{URI}#sha256={hashlib.sha256(b'weights').hexdigest()}"
    first = artifacts.download(uri, lambda: s3, cache=tmp_path)
    assert artifacts.download(uri, lambda: pytest.fail("S3 was asked"), cache=tmp_path) == first


@pytest.mark.parametrize(
    "uri", ["https://host/a", "s3://bucket", "s3://bucket/", "a.pt", f"{URI}#sha256=12", f"{URI}#md5=12"]
)
def test_a_wrong_uri_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="must look like s3://bucket/key"):
        artifacts.download(uri, lambda: FakeS3(b""), cache=tmp_path)


def test_a_failed_download_is_named(tmp_path: Path) -> None:
    def denied() -> FakeS3:
        raise PermissionError("denied")

    with pytest.raises(ArtifactError, match=rf"{URI}: cannot be downloaded: denied"):
        artifacts.download(URI, denied, cache=tmp_path)


def test_a_plain_python_model_takes_no_artifact() -> None:
    with pytest.raises(ArtifactError, match="'python' takes no artifact"):
        load(WORDCOUNT, artifact=URI, threads=1)


# --- threads


@pytest.mark.parametrize(("memory_mb", "threads"), [(128, 1), (1769, 1), (1770, 2), (3538, 2), (10_240, 6)])
def test_threads_follow_the_memory(monkeypatch: pytest.MonkeyPatch, memory_mb: int, threads: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert threads_for(memory_mb) == threads
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert threads_for(memory_mb) == 1
