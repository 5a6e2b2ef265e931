"""The worker's image: its target, its build context, its tag, and what the command does."""

import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts import image
from scripts.builders import PLATFORMS
from scripts.console import ROOT, Failure
from scripts.image import ARCHITECTURE, TARGETS, choose_target, make_context, new_tag
from scripts.package import MODELS


def model(folder: Path, runtime: str) -> Path:
    """A model folder with this runtime; its artifact is elsewhere."""
    manifest: dict[str, Any] = json.loads((MODELS / "sentiment" / "manifest.json").read_text())
    artifact = {"file": "m.bin", "sha256": "0" * 64, "bytes": 1}
    manifest |= {"name": folder.name, "runtime": runtime, "artifacts": {runtime: artifact}}
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
    (models["python"] / "requirements.txt").write_text("scikit-learn==1.9.0\n")
    make_context(context, "torch", models)
    assert (context / "requirements/models/python.txt").read_text() == "scikit-learn==1.9.0\n"
    assert not (context / "requirements/models/torchscript.txt").exists()
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


def test_every_build_has_a_tag_of_its_own() -> None:
    """The registry's tags don't move, and the same sources on a newer base have to go there too."""
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    tag = new_tag("onnx", "x86_64", "0123456789abcdef", now)
    assert tag == "onnx-x86_64-20260102-030405-01234567"
    assert re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", tag)
    assert new_tag("onnx", "x86_64", "0123456789abcdef", now + timedelta(seconds=1)) != tag


def play(folder: Path, record: Path, *, digest: str) -> None:
    """A buildah that writes down how it is called."""
    script = f'echo "$*" >> "{record}"; case $2 in --digestfile=*) echo {digest} > "${{2#*=}}" ;; esac'
    (folder / "buildah").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "buildah").chmod(0o755)


def test_what_is_pushed_is_built_on_the_newest_base_and_named_by_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    record, digest = tmp_path / "calls", f"sha256:{'a' * 64}"
    play(tmp_path, record, digest=digest)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(image, "BUILD", tmp_path)
    monkeypatch.setattr(image, "CONTEXT", tmp_path / "context")
    options = ["image", "--builder", "buildah", "--repository", "r.example/worker", "--architecture", "arm64"]

    monkeypatch.setattr(sys, "argv", options)
    assert image.main() == 0
    (built,) = record.read_text().splitlines()
    assert "--pull" not in built
    assert capfd.readouterr().out.strip() in built

    record.unlink()
    monkeypatch.setattr(sys, "argv", [*options, "--push"])
    assert image.main() == 0
    built, pushed = record.read_text().splitlines()
    assert "--platform linux/arm64 --pull=newer --tag r.example/worker:onnx-arm64-" in built
    assert pushed.split()[-1] in built
    assert capfd.readouterr().out.strip() == f"r.example/worker@{digest}"
