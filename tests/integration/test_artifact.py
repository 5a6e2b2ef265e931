"""A model's artifact in S3, fetched with the client that the worker has, and loaded."""

import hashlib
from pathlib import Path

import pytest

from inference.aws import clients
from tests.unit.model_folders import weights_model
from worker.model import artifact as artifacts
from worker.model import load
from worker.model.errors import ArtifactError

CONTENT = bytes(range(256)) * 10
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URI = "s3://models/sentiment/1.onnx"


def s3() -> artifacts.S3Client:
    client: artifacts.S3Client = clients.client("s3")
    return client


def test_an_object_comes_in_parts_and_is_verified(
    on_moto: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients.client("s3").create_bucket(Bucket="models")
    clients.client("s3").put_object(Bucket="models", Key="sentiment/1.onnx", Body=CONTENT)
    monkeypatch.setattr(artifacts, "PART_BYTES", 1000)
    assert artifacts.download(URI, SHA256, s3, cache=tmp_path).read_bytes() == CONTENT
    with pytest.raises(ArtifactError, match=f"{URI}: the object's SHA-256 is {SHA256}, but 0+ is declared"):
        artifacts.download(URI, "0" * 64, s3, cache=tmp_path)
    with pytest.raises(ArtifactError, match=r"s3://models/nothing: cannot be downloaded: .*Not Found"):
        artifacts.download("s3://models/nothing", "0" * 64, s3, cache=tmp_path)


def test_a_plain_python_model_reads_its_artifact_from_s3(
    on_moto: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    weights, uri = b"1 2 3 4 5", "s3://plain/weights.txt"
    folder = weights_model(tmp_path / "mine", weights)
    (folder / "weights.txt").unlink()
    clients.client("s3").create_bucket(Bucket="plain")
    with pytest.raises(ArtifactError, match=f"artifact {uri}: cannot be downloaded: .*no such object: upload"):
        load(folder, artifact=uri, threads=1, s3_client=s3)
    clients.client("s3").put_object(Bucket="plain", Key="weights.txt", Body=b"other")
    with pytest.raises(ArtifactError, match=f"{uri}: the object's SHA-256 is .* upload the declared file"):
        load(folder, artifact=uri, threads=1, s3_client=s3)
    clients.client("s3").put_object(Bucket="plain", Key="weights.txt", Body=weights)
    assert load(folder, artifact=uri, threads=1, s3_client=s3).predict([{"text": "x"}]) == [{"words": 5}]
