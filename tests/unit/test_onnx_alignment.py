"""`make align-onnx`: a file from elsewhere, aligned where it is."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from scripts.console import CommandError
from scripts.model_tools import onnx_alignment
from scripts.packaging.model_files import declare_artifact, worker_files
from worker.model.runtimes.onnx_graph import is_misaligned

SENTIMENT = Path(__file__).resolve().parents[2] / "worker" / "models" / "sentiment"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder whose ONNX artifact has 12 MB of weights, one byte beside their places."""
    folder = tmp_path / "mine"
    shutil.copytree(SENTIMENT, folder)
    weight = numpy_helper.from_array(np.ones(3_000_000, dtype=np.float32), "weight")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3_000_000]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "weight"], ["y"])], "sum", value[:1], value[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx_alignment.aligned(model)
    model.doc_string += " "
    (folder / "sentiment.onnx").write_bytes(model.SerializeToString())
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": "mine"}))
    declare_artifact(folder, "onnx", "sentiment.onnx")
    return folder


def _align(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["onnx_alignment", str(folder)])
    assert onnx_alignment.main() == 0


def test_it_is_aligned_and_declared_and_packaging_says_no_more_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker_files("mine", folder)
    assert "each start copies its weights; `make align-onnx MODEL=mine` spares that" in capsys.readouterr().err
    _align(folder, monkeypatch)
    content = (folder / "sentiment.onnx").read_bytes()
    assert not is_misaligned(content)
    declared = json.loads((folder / "manifest.json").read_text())["artifacts"]["onnx"]
    assert declared["sha256"] == hashlib.sha256(content).hexdigest()
    capsys.readouterr()
    worker_files("mine", folder)
    assert "align" not in capsys.readouterr().err
    _align(folder, monkeypatch)
    assert "has no weights to align" in capsys.readouterr().err
    assert (folder / "sentiment.onnx").read_bytes() == content


def test_a_folder_without_such_an_artifact_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sentiment.onnx").unlink()
    with pytest.raises(CommandError, match=r"sentiment\.onnx is missing: put it there"):
        _align(folder, monkeypatch)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["artifacts"]["onnx"]
    (folder / "manifest.json").write_text(json.dumps(manifest | {"runtime": "torchscript"}))
    with pytest.raises(CommandError, match=r"manifest\.json names no artifact for the runtime onnx"):
        _align(folder, monkeypatch)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(CommandError, match=r"manifest\.json"):
        _align(folder, monkeypatch)
