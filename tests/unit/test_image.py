"""The worker's image: its target, what is in its build context, and what is built by default."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.builders import PLATFORMS
from scripts.console import ROOT, Failure
from scripts.image import ARCHITECTURE, TARGETS, choose_target, make_context
from scripts.package import MODELS


def model(folder: Path, runtime: str) -> Path:
    """A model folder with this runtime; its artifact is elsewhere."""
    manifest: dict[str, Any] = json.loads((MODELS / "sentiment" / "manifest.json").read_text())
    artifact = {"file": "m.bin", "sha256": "0" * 64, "bytes": 1}
    manifest |= {"runtime": runtime, "artifacts": {runtime: artifact}}
    if runtime == "python":
        del manifest["artifacts"]
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "model.py").write_text("# the model\n")
    return folder


@pytest.mark.parametrize(
    ("runtimes", "target"),
    [
        (["onnx"], "onnx"),
        (["python"], "onnx"),
        (["python", "onnx"], "onnx"),
        (["torchscript"], "torch"),
        (["torchscript", "aotinductor", "python"], "torch"),
    ],
)
def test_the_target_is_the_one_that_runs_all_models(tmp_path: Path, runtimes: list[str], target: str) -> None:
    assert choose_target({name: model(tmp_path / name, name) for name in runtimes}) == target


def test_where_no_target_runs_all_one_has_to_be_said(tmp_path: Path) -> None:
    models = {name: model(tmp_path / name, name) for name in ("onnx", "torchscript")}
    with pytest.raises(Failure, match="need onnx, torchscript, which no one image has: say --target onnx or"):
        choose_target(models)


def test_the_context_has_the_models_that_the_target_runs(tmp_path: Path) -> None:
    models = {name: model(tmp_path / "models" / name, name) for name in ("onnx", "torchscript", "python")}
    context = tmp_path / "context"
    (context / "left").mkdir(parents=True)
    make_context(context, "torch", models)
    assert sorted(path.name for path in context.iterdir()) == ["Dockerfile", "app", "install.sh", "requirements"]
    assert sorted(path.name for path in (context / "app/worker/models").iterdir()) == ["python", "torchscript"]
    with pytest.raises(Failure, match="no model can run in the target onnx"):
        make_context(context, "onnx", {"torchscript": models["torchscript"]})


def test_every_target_is_a_stage_of_the_dockerfile() -> None:
    stages = re.findall(r"(?m)^FROM \S+ AS (\S+)$", (ROOT / "worker" / "Dockerfile").read_text())
    assert set(TARGETS) <= set(stages)


def test_the_architecture_is_the_stacks() -> None:
    hcl = (ROOT / "terraform" / "stack" / "variables.tf").read_text()
    (default,) = re.findall(r'variable "architecture" \{[^}]*?default\s*=\s*"(\w+)"', hcl)
    assert default == ARCHITECTURE
    (allowed,) = re.findall(r"contains\((\[.*\]), var\.architecture\)", hcl)
    assert json.loads(allowed) == list(PLATFORMS)
