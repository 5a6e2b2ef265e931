"""The model of docs/models.md that takes a key of S3 as its input, as the page has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inference import aws
from scripts.package import find_models
from worker.errors import InputError
from worker.model import LoadedModel, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The folder that the page says to make."""
    page = (ROOT / "docs" / "models.md").read_text().split("## Inputs in S3")[1].split("\n## ")[0]
    files = re.findall(r"`worker/models/(photos/[a-z.]+)`:\n\n```\w+\n(.*?)```", page, re.S)
    assert [name for name, _ in files] == ["photos/manifest.json", "photos/model.py"]
    (tmp_path / "photos").mkdir()
    for name, text in files:
        (tmp_path / name).write_text(text)
    return tmp_path / "photos"


def test_a_model_reads_its_input_from_s3(on_moto: None, photos: Path) -> None:
    aws.client("s3").create_bucket(Bucket="my-uploads")
    aws.client("s3").put_object(Bucket="my-uploads", Key="photos/cat.jpg", Body=bytes(300_000))
    assert find_models([photos.parent], ["photos"]) == {"photos": photos}, "the packager takes it"
    model = load(photos, threads=1)
    assert isinstance(model, LoadedModel)
    found, missing = model.predict([{"key": "photos/cat.jpg"}, {"key": "photos/dog.jpg"}])
    assert found == {"bytes": 300_000}
    assert isinstance(missing, InputError)
    assert "photos/dog.jpg" in str(missing)
