"""The models of docs/models.md, as the page has them: one with weights, one that takes a key of S3 as its input."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inference.aws import clients
from scripts.model_tools.model_process import train
from scripts.packaging.model_files import find_models, read_manifest
from worker.model import load
from worker.model.errors import InputError
from worker.model.loaded import LoadedModel

ROOT = Path(__file__).resolve().parents[2]


def documented(folder: Path, name: str) -> list[str]:
    """Write the files that the page shows of a model into `folder`; returns their names."""
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    files = re.findall(rf"`worker/models/{name}/([a-z./]+)`:\n\n```\w+\n(.*?)```", page, re.S)
    for path, text in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return [path for path, _ in files]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The folder that the page says to make."""
    assert documented(tmp_path / "photos", "photos") == ["manifest.json", "model.py"]
    return tmp_path / "photos"


def test_a_model_reads_its_weights_from_its_folder_and_from_s3(
    on_moto: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    folder = tmp_path / "linear"
    assert documented(folder, "linear") == ["manifest.json", "model.py", "training/train.py"]
    assert train(folder) == 0
    assert read_manifest(folder)["artifacts"]["python"]["bytes"] == (folder / "weights.npz").stat().st_size
    expected = [{"score": pytest.approx(2.15)}]
    assert load(folder, threads=1).predict([{"features": [5.0, 4.0, 0.4, 0.5]}]) == expected
    clients.client("s3").create_bucket(Bucket="my-models")
    clients.client("s3").upload_file(str(folder / "weights.npz"), "my-models", "linear/weights.npz")
    (folder / "weights.npz").unlink()
    model = load(
        folder, artifact="s3://my-models/linear/weights.npz", threads=1, s3_client=lambda: clients.client("s3")
    )
    assert model.predict([{"features": [5.0, 4.0, 0.4, 0.5]}]) == expected


def test_a_model_reads_its_input_from_s3(on_moto: None, photos: Path) -> None:
    clients.client("s3").create_bucket(Bucket="my-uploads")
    clients.client("s3").put_object(Bucket="my-uploads", Key="photos/cat.jpg", Body=bytes(300_000))
    assert find_models([photos.parent], ["photos"]) == {"photos": photos}, "the packager takes it"
    model = load(photos, threads=1)
    assert isinstance(model, LoadedModel)
    found, missing = model.predict([{"key": "photos/cat.jpg"}, {"key": "photos/dog.jpg"}])
    assert found == {"bytes": 300_000}
    assert isinstance(missing, InputError)
    assert "photos/dog.jpg" in str(missing)
