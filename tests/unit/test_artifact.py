"""A model's artifact, packaged or in S3: fetched once, in parts of one version, and verified."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.fake_s3 import URI, FakeS3
from tests.unit.model_folders import SENTIMENT, WORDCOUNT, weights_model
from worker.model import Manifest, load
from worker.model import artifact as artifacts
from worker.model.errors import ArtifactError, ModelError
from worker.model.loaded import LoadedModel


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Artifacts that were opened; replaces the runtimes, so that these tests import no torch."""
    paths: list[Path] = []
    monkeypatch.setattr("worker.model.loaded.open_runtime", lambda kind, path, **_: paths.append(path))
    return paths


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sentiment(tmp_path: Path, content: bytes) -> Path:
    for name in ("manifest.json", "model.py"):
        (tmp_path / name).write_bytes((SENTIMENT / name).read_bytes())
    (tmp_path / "sentiment.onnx").write_bytes(content)
    return tmp_path


def test_a_tampered_artifact_is_rejected(tmp_path: Path, opened: list[Path]) -> None:
    content = bytearray((SENTIMENT / "sentiment.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ArtifactError, match=r"sentiment\.onnx: SHA-256 is"):
        load(_sentiment(tmp_path, bytes(content)), threads=1)
    assert opened == []


def test_a_missing_artifact_is_named(tmp_path: Path, opened: list[Path]) -> None:
    source = _sentiment(tmp_path, b"")
    (source / "sentiment.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"sentiment\.onnx: no such file; put it there, or set artifact = "):
        load(source, threads=1)
    (source / "sentiment.onnx").mkdir()
    with pytest.raises(ArtifactError, match=r"sentiment\.onnx: cannot be read: Is a directory"):
        load(source, threads=1)


def test_a_packaged_artifact_was_verified_before_and_only_its_size_is_compared(
    tmp_path: Path, opened: list[Path]
) -> None:
    content = (SENTIMENT / "sentiment.onnx").read_bytes()
    source = _sentiment(tmp_path, content[:-1])
    with pytest.raises(ArtifactError, match=rf"{len(content) - 1} bytes, not {len(content)}; make the package again"):
        load(source, threads=1, is_packaged=True)
    (source / "sentiment.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"sentiment\.onnx: no such file; put it there, or set artifact = "):
        load(source, threads=1, is_packaged=True)
    assert opened == []
    (source / "sentiment.onnx").write_bytes(bytes(len(content)))
    load(source, threads=1, is_packaged=True)
    assert opened == [source / "sentiment.onnx"]


def test_numpy_starts_no_more_threads_than_the_model_computes_on(
    tmp_path: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _sentiment(tmp_path, (SENTIMENT / "sentiment.onnx").read_bytes())
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    load(source, threads=3)
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7", "what a deployment sets stays"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    load(source, threads=3)
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replaces /tmp."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_an_s3_artifact_that_the_manifest_knows_replaces_the_packaged_one(disk: Path, opened: list[Path]) -> None:
    content = (SENTIMENT / "sentiment.onnx").read_bytes()
    model = load(SENTIMENT, artifact=URI, threads=1, s3_client=lambda: FakeS3(content))
    assert isinstance(model, LoadedModel)
    (path,) = opened
    assert path.is_relative_to(disk)
    assert path.read_bytes() == content


def test_an_s3_artifact_that_the_manifest_does_not_know_is_rejected_with_its_digest(
    disk: Path, opened: list[Path]
) -> None:
    known = Manifest.read(SENTIMENT / "manifest.json").artifacts["onnx"].sha256
    message = f"but {known} is declared; .* deploy this one as {URI}#sha256={_digest(b'weights')}$"
    with pytest.raises(ArtifactError, match=message):
        load(SENTIMENT, artifact=URI, threads=1, s3_client=lambda: FakeS3(b"weights"))
    assert opened == []


def test_a_digest_in_the_uri_stands_above_the_manifests(disk: Path, opened: list[Path]) -> None:
    uri = f"{URI}#sha256={_digest(b'weights')}"
    load(SENTIMENT, artifact=uri, threads=1, s3_client=lambda: FakeS3(b"weights"))
    assert [path.read_bytes() for path in opened] == [b"weights"]
    known = FakeS3((SENTIMENT / "sentiment.onnx").read_bytes())
    with pytest.raises(ArtifactError, match="upload the declared file"):
        load(SENTIMENT, artifact=f"{URI}#sha256={'0' * 64}", threads=1, s3_client=lambda: known)


def test_a_wrong_object_does_not_stay(tmp_path: Path) -> None:
    s3 = FakeS3(b"another")
    with pytest.raises(ArtifactError, match="the object's SHA-256 is"):
        artifacts.download(URI, _digest(b"weights"), lambda: s3, cache=tmp_path)
    s3.content = b"weights"
    assert artifacts.download(URI, _digest(b"weights"), lambda: s3, cache=tmp_path).read_bytes() == b"weights"


def test_a_big_object_comes_in_parts_each_to_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "PART_BYTES", 7)
    s3 = FakeS3(bytes(range(250)))
    s3.broken = 2
    assert artifacts.download(URI, _digest(s3.content), lambda: s3, cache=tmp_path).read_bytes() == s3.content
    assert set(s3.ranges) == {f"bytes={start}-{min(start + 7, 250) - 1}" for start in range(0, 250, 7)}
    assert len(s3.ranges) == len(set(s3.ranges)) + 2, "the two that broke off were fetched again"


@pytest.mark.parametrize(
    ("operation", "code", "text", "status", "remedy"),
    [
        ("head_object", "404", "Not Found", 404, "no such object: upload it, or correct the model's artifact"),
        (
            "head_object",
            "403",
            "Forbidden",
            403,
            "or the object does not exist. A bucket in another account .* worker_role_arns",
        ),
        (
            "get_object",
            "AccessDenied",
            "no kms:Decrypt for the ciphertext",
            403,
            "name it in .* read_kms_key_arns",
        ),
        ("get_object", "KMS.DisabledException", "the key is disabled", 400, "must be able to decrypt with the KMS key"),
        ("get_object", "SlowDown", "Reduce your request rate", 503, "$"),
    ],
)
def test_a_rejection_by_s3_says_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    code: str,
    text: str,
    status: int,
    remedy: str,
) -> None:
    response: Any = {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def reject(self: FakeS3, **_: str) -> None:
        raise ClientError(response, operation)

    monkeypatch.setattr(FakeS3, operation, reject)
    with pytest.raises(ArtifactError, match=f"artifact {URI}: cannot be downloaded: .*{text}.*{remedy}"):
        artifacts.download(URI, _digest(b"weights"), lambda: FakeS3(b"weights"), cache=tmp_path)


def test_parts_of_two_versions_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "PART_BYTES", 7)
    s3 = FakeS3(bytes(250))
    s3.change_at = 5
    with pytest.raises(ArtifactError, match="cannot be downloaded: PreconditionFailed"):
        artifacts.download(URI, _digest(s3.content), lambda: s3, cache=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"], "a part of a download must not fill the disk"


def test_a_warm_disk_needs_no_call(tmp_path: Path) -> None:
    first = artifacts.download(URI, _digest(b"weights"), lambda: FakeS3(b"weights"), cache=tmp_path)
    assert artifacts.download(URI, _digest(b"weights"), lambda: pytest.fail("S3 was asked"), cache=tmp_path) == first


@pytest.mark.parametrize(
    "uri", ["https://host/a", "s3://bucket", "s3://bucket/", "a.pt", f"{URI}#sha256=12", f"{URI}#md5=12"]
)
def test_a_wrong_uri_is_rejected(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="must look like s3://bucket/key"):
        artifacts.download(uri, "0" * 64, lambda: FakeS3(b""), cache=tmp_path)


def test_a_failed_download_is_named(tmp_path: Path) -> None:
    def denied() -> FakeS3:
        raise PermissionError("denied")

    with pytest.raises(ArtifactError, match=rf"{URI}: cannot be downloaded: denied"):
        artifacts.download(URI, "0" * 64, denied, cache=tmp_path)


# --- of a plain Python model


def test_a_plain_python_model_is_given_the_path_of_its_artifact(tmp_path: Path) -> None:
    source = weights_model(tmp_path / "mine")
    model = load(source, threads=1)
    assert model.predict([{}]) == [{"words": 3}]
    assert model.model.path == source / "weights.txt"  # type: ignore[attr-defined]


def test_its_artifact_in_s3_is_downloaded_verified_and_keeps_its_suffix(disk: Path, tmp_path: Path) -> None:
    source = weights_model(tmp_path / "mine", b"1 2 3 4")
    (source / "weights.txt").unlink()
    model = load(source, artifact=URI, threads=1, s3_client=lambda: FakeS3(b"1 2 3 4"))
    assert model.predict([{}]) == [{"words": 4}]
    path: Path = model.model.path  # type: ignore[attr-defined]
    assert path == disk / "model-artifacts" / f"{_digest(b'1 2 3 4')}.txt"
    with pytest.raises(ArtifactError, match=f"artifact {URI}: the object's SHA-256 is {_digest(b'other')}, but"):
        load(weights_model(tmp_path / "mine", b"5"), artifact=URI, threads=1, s3_client=lambda: FakeS3(b"other"))


def test_its_artifact_that_is_altered_or_missing_is_named_before_the_model_is_made(tmp_path: Path) -> None:
    source = weights_model(tmp_path / "mine", code="raise RuntimeError('imported')")
    (source / "weights.txt").write_bytes(b"altered")
    with pytest.raises(ArtifactError, match=rf"weights\.txt: SHA-256 is {_digest(b'altered')}, not "):
        load(source, threads=1)
    (source / "weights.txt").unlink()
    with pytest.raises(ArtifactError, match=r"weights\.txt: no such file"):
        load(source, threads=1)


def test_a_model_without_load_is_told_that_its_artifact_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"^model\.py must define load\(self, path\) in its class: manifest\.json names"
    ):
        load(weights_model(tmp_path / "mine", code="weights = ()"), threads=1)


def test_an_artifact_that_the_manifest_does_not_name_is_rejected() -> None:
    with pytest.raises(ArtifactError, match=r"of wordcount names no artifact; declare it in artifacts\.python"):
        load(WORDCOUNT, artifact=URI, threads=1)
