"""The workers' images: their target, its build context, its tag, and what the command does."""

import json
import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.console import ROOT, CommandError
from scripts.deployment.environment_config import MODELS
from scripts.packaging import image
from scripts.packaging.builders import PLATFORMS
from scripts.packaging.image import ARCHITECTURE, STAGES, make_context, new_tag, stage_of
from scripts.packaging.targets import LAMBDA_SYNC, TARGETS
from worker.model.runtimes import KINDS


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


def test_every_runtime_has_a_target_and_the_docs_name_it() -> None:
    assert set().union(*STAGES.values()) == set(KINDS)
    documented = re.findall(
        r"^\| `(\w+)` \|.* (`\w+`|either) \|$", (ROOT / "docs/runtimes.md").read_text("utf-8"), re.M
    )
    named = {kind: [f"`{target}`" for target, able in STAGES.items() if kind in able] for kind in KINDS}
    assert dict(documented) == {kind: targets[0] if len(targets) == 1 else "either" for kind, targets in named.items()}


@pytest.mark.parametrize(
    ("runtime", "target"), [("onnx", "onnx"), ("python", "onnx"), ("torchscript", "torch"), ("aotinductor", "torch")]
)
def test_the_target_is_the_one_that_runs_the_model(tmp_path: Path, runtime: str, target: str) -> None:
    assert stage_of(model(tmp_path / runtime, runtime)) == target


def test_the_context_has_one_model_and_its_own_libraries(tmp_path: Path) -> None:
    """Another model's pins can't clash with it, and a new model changes no other one's image."""
    mine = model(tmp_path / "models" / "mine", "onnx")
    context = tmp_path / "context"
    (context / "left").mkdir(parents=True)
    before = make_context(context, mine)
    shown = ["Dockerfile", "app", "install.sh", "model", "requirements", "trim.sh"]
    assert sorted(path.name for path in context.iterdir()) == shown
    assert (context / "model/requirements.txt").read_text() == ""
    other = model(tmp_path / "models" / "other", "onnx")
    (other / "requirements.txt").write_text("scikit-learn==1.9.0\n")
    assert make_context(context, mine) == before
    assert [path.name for path in (context / "app/worker/models").iterdir()] == ["mine"]
    make_context(context, other)
    assert (context / "model/requirements.txt").read_text() == "scikit-learn==1.9.0\n"


def test_an_artifact_in_s3_is_not_in_the_image(tmp_path: Path) -> None:
    folder = tmp_path / "sentiment"
    shutil.copytree(MODELS / "sentiment", folder, ignore=shutil.ignore_patterns("__pycache__"))
    there = tmp_path / "context" / "app/worker/models/sentiment/sentiment.onnx"
    make_context(tmp_path / "context", folder)
    assert there.is_file()
    make_context(tmp_path / "context", folder, in_s3=[folder])
    assert not there.exists()


def test_every_target_is_a_stage_of_the_dockerfile() -> None:
    stages = re.findall(r"(?m)^FROM \S+ AS (\S+)$", (ROOT / "worker" / "Dockerfile").read_text())
    assert {f"{stage}{target.suffix}" for stage in STAGES for target in TARGETS.values()} <= set(stages)


def test_a_server_starts_the_app_and_listens_for_its_platform() -> None:
    text = (ROOT / "worker" / "Dockerfile").read_text()
    stages = dict(re.findall(r"(?ms)^FROM \S+ AS (\S+)$(.*?)(?=^FROM |\Z)", text))
    for stage in STAGES:
        server = stages[f"{stage}{TARGETS['server'].suffix}"]
        assert 'ENTRYPOINT ["python3", "-m", "worker.sync.server"]\nCMD []' in server
        assert "HOST=0.0.0.0 PORT=8080" in server, "in a container it is reached from outside"


def test_an_image_has_the_app_and_its_libraries_only_where_it_is_for_that(tmp_path: Path) -> None:
    mine, context = model(tmp_path / "mine", "onnx"), tmp_path / "context"
    (mine / "requirements.txt").write_text("pillow==1\n")
    wanted = {"lambda": "", "server": "uvicorn"}
    for target, library in {**TARGETS, "lambda with sync": LAMBDA_SYNC}.items():
        make_context(context, mine, target=library)
        requirements = (context / "model/requirements.txt").read_text()
        assert requirements.startswith("pillow==1\n")
        assert ("fastapi" in requirements) == (target != "lambda") == (context / "app/worker/sync/app.py").exists()
        assert ("mangum" in requirements) == (library is LAMBDA_SYNC)
        assert wanted.get(target, "") in requirements
        assert (
            (context / "app/sync_openapi.json").exists()
            == (context / "app/openapi.json").exists()
            == bool(library.rooms)
        )


def test_the_architecture_is_the_environments() -> None:
    for file in (ROOT / "terraform" / "environments").glob("*/main.tf"):
        assert re.findall(r'architecture\s*= "(\w+)"', file.read_text()) == [ARCHITECTURE]
    hcl = (ROOT / "terraform" / "stack" / "variables.tf").read_text()
    (allowed,) = re.findall(r"contains\((\[.*\]), var\.architecture\)", hcl)
    assert json.loads(allowed) == list(PLATFORMS)


def test_every_build_has_a_tag_of_its_own() -> None:
    """The registry's tags don't move, and the same sources on a newer base have to go there too."""
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    tag = new_tag("mine", "x86_64", "0123456789abcdef", now)
    assert tag == "mine-x86_64-20260102-030405-01234567"
    assert re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", tag)
    assert new_tag("mine", "x86_64", "0123456789abcdef", now + timedelta(seconds=1)) != tag


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
    options = [
        "image",
        "--only",
        "sentiment",
        "--builder",
        "buildah",
        "--repository",
        "r.example/worker",
        "--architecture",
        "arm64",
    ]

    monkeypatch.setattr(sys, "argv", options)
    assert image.main() == 0
    (built,) = record.read_text().splitlines()
    assert "--pull" not in built
    assert capfd.readouterr().out.strip() in built

    record.unlink()
    monkeypatch.setattr(sys, "argv", [*options, "--push"])
    assert image.main() == 0
    built, pushed = record.read_text().splitlines()
    assert "--platform linux/arm64 --pull=newer --tag r.example/worker:sentiment-arm64-" in built
    assert pushed.split()[-1] in built
    assert capfd.readouterr().out.strip() == f"r.example/worker@{digest}"


def test_an_image_of_several_models_has_what_all_need(tmp_path: Path) -> None:
    first, second = model(tmp_path / "first", "onnx"), model(tmp_path / "second", "python")
    (second / "requirements.txt").write_text("two==2")
    assert stage_of(first, second) == "onnx"
    assert stage_of(second, model(tmp_path / "third", "torchscript")) == "torch"
    make_context(tmp_path / "context", first, second)
    assert (tmp_path / "context" / "app" / "worker" / "models" / "first" / "model.py").is_file()
    assert (tmp_path / "context" / "app" / "worker" / "models" / "second" / "model.py").is_file()
    assert "two==2" in (tmp_path / "context" / "model" / "requirements.txt").read_text()


def test_runtimes_of_two_images_are_not_put_into_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"first \(onnx\), second \(torchscript\)\. Put onnx and torchscript"):
        stage_of(model(tmp_path / "first", "onnx"), model(tmp_path / "second", "torchscript"))
