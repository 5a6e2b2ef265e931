"""A model's artifact in S3, fetched with the client that the worker has."""

import hashlib
from pathlib import Path

import pytest

from inference import aws
from worker import artifact as artifacts
from worker.errors import ArtifactError

CONTENT = bytes(range(256)) * 10
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URI = "s3://models/sentiment/1.onnx"


def s3() -> artifacts.S3Client:
    client: artifacts.S3Client = aws.client("s3")
    return client


def test_an_object_comes_in_parts_and_is_verified(
    on_moto: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("s3").put_object(Bucket="models", Key="sentiment/1.onnx", Body=CONTENT)
    monkeypatch.setattr(artifacts, "PART_BYTES", 1000)
    assert artifacts.download(URI, SHA256, s3, cache=tmp_path).read_bytes() == CONTENT
    with pytest.raises(ArtifactError, match=f"{URI}: the object's SHA-256 is {SHA256}, but 0+ is declared"):
        artifacts.download(URI, "0" * 64, s3, cache=tmp_path)
    with pytest.raises(ArtifactError, match=r"s3://models/nothing: cannot be downloaded: .*Not Found"):
        artifacts.download("s3://models/nothing", "0" * 64, s3, cache=tmp_path)
