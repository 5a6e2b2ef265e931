"""A model's artifact, packaged or in S3: fetched once, in parts of one version, and verified."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from tests.unit.model_folders import SENTIMENT, WORDCOUNT
from worker import artifact as artifacts
from worker.model import ArtifactError, LoadedModel, load

URI = "s3://bucket/models/a.pt"


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
