"""What scripts/model_tools/export_model.py makes of a model folder, and what a wrong one is told."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.console import CommandError
from scripts.model_tools import export_model
from scripts.model_tools.export_comparison import Candidate, Comparison
from scripts.model_tools.export_formats import FORMATS
from scripts.model_tools.model_process import run_in_model
from tests.unit.model_folders import plain_manifest

Folder = Callable[..., Path]

NET = """
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        return x * 2
"""
MODEL = """
import numpy as np
from worker.model import Model

class Double(Model):
    def predict(self, inputs):
        (found,) = self.runtime.run({"x": np.array([item["x"] for item in inputs], dtype=np.float32)})
        return [{"y": float(y)} for y in found]
"""
EXPORT = """
from .net import Net

def module():
    return Net().eval()

def held_out(corpus):
    return [({"x": x}, {"y": 2.0 * x}) for x in range(20)]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes a model folder; `change` is made in its export.py."""

    def write(*change: str) -> Path:
        path = tmp_path / "double"
        path.mkdir()
        schema = {"type": "object", "properties": {"x": {"type": "number", "maximum": 19}}}
        (path / "manifest.json").write_text(json.dumps(plain_manifest() | {"name": "double", "input_schema": schema}))
        for name, text in (("net.py", NET), ("model.py", MODEL), ("export.py", EXPORT.replace(*change or ("", "")))):
            (path / name).write_text(text)
        return path

    return write


def comparison(folder: Path) -> Comparison:
    candidate = Candidate.read(folder)
    return Comparison.of(candidate, candidate.trained(), None)


def test_the_export_may_import_its_neighbours(folder: Folder) -> None:
    assert comparison(folder()).outputs[3] == {"y": 6.0}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((".eval()", ""), r"export\.py: module\(\) is in training mode: return module\.eval\(\)"),
        (("Net().eval()", "None"), r"module\(\) returns a NoneType"),
        (("range(20)", "range(21)"), r"export\.py: input 20 of held_out\(\): data\.x must be smaller"),
        (('{"y": 2', '{"z": 2'), r"export\.py: output 0 of held_out\(\) is expected to have z; it has y"),
        (("from .net", "from .nett"), r"double: No module named '.*nett'"),
        (("def held_out", "def other"), r"defines no function held_out"),
    ],
    ids=["training", "no module", "schema", "key", "import", "function"],
)
def test_what_is_wrong_with_an_export_is_told(folder: Folder, change: tuple[str, str], told: str) -> None:
    path = folder(*change)
    with pytest.raises(CommandError, match=told):
        comparison(path)


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ([], [*FORMATS]),
        (["--install", "torchscript"], ["torchscript"]),
        (["--install", "aotinductor", "--install", "onnx"], ["onnx", "aotinductor"]),
        (["--install", "onnx", "--format", "torchscript"], ["onnx", "torchscript"]),
    ],
)
def test_only_what_is_asked_for_is_made(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, options: list[str], made: list[str]
) -> None:
    asked: list[str] = []
    path = folder()

    def export(_: Path, labels: list[str], *rest: object) -> list[object]:
        asked.extend(labels)
        raise CommandError("enough")

    monkeypatch.setattr(export_model, "export", export)
    monkeypatch.setattr("sys.argv", ["export_model", "double", "--models-dir", str(path.parent), *options])
    with pytest.raises(CommandError, match="enough"):
        export_model.main()
    assert asked == made


def test_two_formats_of_one_runtime_are_not_installed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder()
    options = ["--install", "onnx", "--install", "onnx-int8"]
    monkeypatch.setattr("sys.argv", ["export_model", "double", "--models-dir", str(path.parent), *options])
    with pytest.raises(CommandError, match="one artifact for each runtime"):
        export_model.main()


def test_a_format_that_fails_does_not_keep_the_others_from_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(source: Any, path: Path) -> None:
        raise RuntimeError("data-dependent shape\n\n" + "a line of a trace\n" * 80)

    broken = dataclasses.replace(FORMATS["onnx"], write=fails)
    monkeypatch.setitem(FORMATS, "onnx", broken)
    exported = export_model.export(folder(), ["onnx", "torchscript"], None, tmp_path / "out")
    assert [one.label for one in exported.measured] == ["torchscript"]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("onnx: failed")]
    assert line.startswith("onnx: failed: RuntimeError: data-dependent shape. Keep to operators that ONNX has")
    assert "a line of a trace" in (tmp_path / "out" / "onnx.log").read_text(encoding="utf-8")


def test_where_no_format_can_be_made_the_export_fails(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(source: Any, path: Path) -> None:
        raise RuntimeError

    broken = dataclasses.replace(FORMATS["onnx"], write=fails)
    monkeypatch.setitem(FORMATS, "onnx", broken)
    with pytest.raises(CommandError, match="double could be exported to none of onnx"):
        export_model.export(folder(), ["onnx"], None, tmp_path / "out")


def test_every_format_has_a_remedy() -> None:
    assert export_model.REMEDIES.keys() == FORMATS.keys()


def test_the_order_of_sets_is_the_same_in_every_export(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """TorchScript writes constants in the order of a set of names, which differs from process to process."""
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    assert run_in_model(folder(), ["-c", "import sys; sys.exit(sys.flags.hash_randomization)"]) == 0
