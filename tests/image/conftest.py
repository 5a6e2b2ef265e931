"""Images are built once per run; their sizes and start times are printed at the end."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment.environment_config import MODELS
from scripts.packaging.builders import find_builder
from scripts.packaging.image import make_context
from scripts.packaging.targets import LAMBDA, TARGETS, Target
from tests.image import container
from tests.image.container import REPORT, Image
from tests.integration.conftest import E2E_MODELS

RUNTIMES = {"onnx": "onnx", "torch": "torchscript"}


@pytest.fixture(scope="session", params=list(RUNTIMES))
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """A pool's image of one target: the demo model, and one that needs no runtime."""
    if reason := container.why_not():
        pytest.skip(reason)
    target: str = request.param
    work = tmp_path_factory.mktemp(target)
    model = work / "models" / "sentiment"
    shutil.copytree(MODELS / "sentiment", model)
    manifest = json.loads((model / "manifest.json").read_text())
    (model / "manifest.json").write_text(json.dumps(manifest | {"runtime": RUNTIMES[target]}))

    (model / "requirements.txt").write_text("fastjsonschema==2.21.1\n")

    name = f"localhost/async-inference-test-{target}"
    names = [name, f"{name}-other"]
    contents = {names[0]: [model, E2E_MODELS / "wordcount"], names[1]: [model]}
    before = os.umask(0o077)  # the strictest that somebody may have: the image's user must be able to read all the same
    try:
        for built in reversed(names):
            _build(built, target, work, contents[built])
            (model / "requirements.txt").write_text("fastjsonschema==2.22.3\n")  # one that nothing else brings
    finally:
        os.umask(before)
    try:
        with container.mounted(name) as root:
            packages, app = (container.megabytes(root / folder) for folder in ("opt/python", "var/task"))
            whole = container.megabytes(root)
            base_mb = whole - packages - app - container.megabytes(root / "opt/model")
            REPORT.append(f"{target}: {whole:.0f} MB = base {base_mb:.0f} + packages {packages:.0f} + app {app:.1f}")
            layers = [container.layers_of(built) for built in names]
            yield Image(target, root, container.config_of(name), *layers)
    finally:
        container.buildah("rmi", *names)


def _build(name: str, stage: str, work: Path, models: Sequence[Path], target: Target = LAMBDA) -> None:
    """Build a stage for some models, with a folder to work in."""
    base = container.base_image(work)
    options = ["--isolation=chroot", "--build-arg", f"PYTHON_IMAGE={base}", "--build-arg", "TORCH_INDEX="]
    options += container.pip_options(work)
    context = work / "context"
    make_context(context, *models, target=target)
    command = find_builder("buildah").build_command(
        name, stage, context, options, architecture=container.architecture()
    )
    container.buildah(*command[1:])


@pytest.fixture(scope="session")
def server_image(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The server's image of the same stage; its other's layers are those of the worker's."""
    work = tmp_path_factory.mktemp(f"{image.target}-server")
    model = work / "models" / "sentiment"
    shutil.copytree(MODELS / "sentiment", model)
    manifest = json.loads((model / "manifest.json").read_text())
    (model / "manifest.json").write_text(json.dumps(manifest | {"runtime": RUNTIMES[image.target]}))
    target = TARGETS["server"]
    name = f"localhost/async-inference-test-{image.target}{target.suffix}"
    _build(name, f"{image.target}{target.suffix}", work, [model, Path(__file__).parent / "models" / "waiting"], target)
    try:
        with container.mounted(name) as root:
            yield Image(image.target, root, container.config_of(name), container.layers_of(name), image.layers)
    finally:
        container.buildah("rmi", name)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if REPORT:
        terminalreporter.section("images")
        for line in REPORT:
            terminalreporter.line(line)
