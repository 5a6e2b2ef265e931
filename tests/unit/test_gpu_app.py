"""The apps that are written for GPU providers."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.console import ROOT, CommandError
from scripts.packaging import image
from scripts.packaging.builders import Builder
from scripts.packaging.gpu_app import IMAGES, KINDS, NO_GPU, app_files, requirements, write
from tests.unit.test_package import model_folder

SENTIMENT = ROOT / "worker" / "models" / "sentiment"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_app_has_the_model_its_validator_and_the_wrappers(kind: str) -> None:
    files = app_files(SENTIMENT, kind, "A10G")
    root = "" if kind == "cog" else "app/"
    assert set(KINDS[kind]) <= files.keys()
    for name in ("worker/direct.py", "worker/providers/opened.py", "validators/sentiment.py", "inference/catalog.py"):
        assert root + name in files
    assert f"{root}worker/models/sentiment/sentiment.onnx" in files
    assert not [name for name in files if name.endswith("sentiment.pt") or "/backends/" in name]
    for name, data in files.items():
        assert not name.endswith(".py") or ast.parse(data), name


def test_a_gpus_app_has_cudas_libraries_and_a_cpus_has_not() -> None:
    on_gpu = requirements(SENTIMENT, "cog", "onnx", "T4").splitlines()
    on_cpu = requirements(SENTIMENT, "cog", "onnx", NO_GPU).splitlines()
    assert any(line.startswith("onnxruntime-gpu[cuda,cudnn]==") for line in on_gpu)
    assert any(line.startswith("onnxruntime==") for line in on_cpu)
    torch = requirements(SENTIMENT, "runpod", "torchscript", "T4").splitlines()
    assert any(line.startswith("torch==") and "+" not in line for line in torch)
    assert any(line.endswith("+cpu") for line in requirements(SENTIMENT, "runpod", "torchscript", NO_GPU).splitlines())
    for lines in (on_gpu, on_cpu, torch):
        assert not [line for line in lines if line.startswith(("boto3", "awslambdaric", "-r"))]
    assert any(line.startswith("cog==") for line in on_gpu)
    assert any(line.startswith("runpod==") for line in torch)


@pytest.mark.parametrize(
    ("kind", "template", "with_gpu", "without"),
    [
        ("modal", "modal_app.py", 'gpu="A10G"', "gpu=None"),
        ("beam", "beam_app.py", 'gpu="A10G"', 'gpu=""'),
        ("cog", "cog.yaml", "gpu: true", "gpu: false"),
    ],
)
def test_the_gpu_is_in_the_app(kind: str, template: str, with_gpu: str, without: str) -> None:
    assert with_gpu in app_files(SENTIMENT, kind, "A10G")[template].decode()
    assert without in app_files(SENTIMENT, kind, NO_GPU)[template].decode()


@pytest.mark.parametrize(("kind", "template"), [("modal", "modal_app.py"), ("beam", "beam_app.py")])
def test_a_provider_does_not_repeat_a_run_by_itself(kind: str, template: str) -> None:
    assert "retries=0" in app_files(SENTIMENT, kind, "T4")[template].decode()


def test_cogs_runner_has_a_parameter_for_each_member_of_the_input() -> None:
    tree = ast.parse(app_files(SENTIMENT, "cog", "T4")["predict.py"])
    (run,) = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    assert [argument.arg for argument in run.args.args] == ["self", "text", "threshold"]
    assert [ast.unparse(argument.annotation) for argument in run.args.args[1:]] == ["str", "Optional[float]"]


def with_input(folder: Path, schema: dict[str, Any]) -> Path:
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"input_schema": schema}))
    return folder


@pytest.mark.parametrize("name", ["a-b", "class", "self", "1st"])
def test_an_input_that_is_no_parameter_is_refused_for_cog_alone(tmp_path: Path, name: str) -> None:
    folder = with_input(model_folder(tmp_path / "mine"), {"type": "object", "properties": {name: {"type": "string"}}})
    with pytest.raises(CommandError, match=name):
        app_files(folder, "cog", NO_GPU)
    assert app_files(folder, "runpod", NO_GPU)


def test_what_can_not_be_had_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "mine")
    with pytest.raises(CommandError, match="GPU"):
        app_files(folder, "modal", 'A10G", timeout=0')
    with pytest.raises(CommandError, match="no properties"):
        app_files(with_input(folder, {"type": "object"}), "cog", NO_GPU)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / manifest["artifacts"][manifest["runtime"]]["file"]).unlink()
    with pytest.raises(CommandError, match="artifact"):
        app_files(folder, "runpod", NO_GPU)


def test_an_app_replaces_the_one_before(tmp_path: Path) -> None:
    out = write(SENTIMENT, "cog", NO_GPU, tmp_path / "app")
    (out / "left.py").write_text("")
    write(SENTIMENT, "cog", NO_GPU, out)
    assert not (out / "left.py").exists()


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_built_from_the_app(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(image, "_run", lambda command: ran.append(list(command)))
    monkeypatch.setattr(image, "CONTEXT", tmp_path / "context")
    args = (Builder("podman"), "registry.example/models", SENTIMENT, kind, NO_GPU, "x86_64", ["A=1"])
    tag = image.build_app(*args, fresh=False)
    assert tag.startswith(f"registry.example/models:sentiment-{kind}-x86_64-")
    (command,) = ran
    assert command[command.index("--target") + 1] == "app"
    assert "AS app" in (tmp_path / "context" / "Dockerfile").read_text()
    assert command[command.index("--tag") + 1] == tag
    assert "A=1" in command
    assert (tmp_path / "context" / "requirements.txt").is_file()
