"""The images for GPU providers, without CUDA: built, and run as they say, with a read-only root and no rights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.deployment.environment_config import MODELS
from scripts.packaging import gpu_app
from scripts.packaging.builders import find_builder
from tests.image import container
from tests.providers.callbacks import Callbacks, looked
from tests.providers.processes import free_port, get, until
from tests.providers.runpod_platform import RunPodPlatform
from worker.backends import make_backend
from worker.backends.base import Succeeded

INPUT = {"text": "I love it"}
OUTPUT = {"prediction": "positive", "confidence": 0.9314}


@contextmanager
def running(kind: str, environment: dict[str, str], work: Path) -> Iterator[None]:
    """The image of the sentiment folder for a provider."""
    if reason := container.why_not():
        pytest.skip(reason)
    base = container.base_image(work)
    name = f"localhost/async-inference-test-{kind}"
    context = gpu_app.write(MODELS / "sentiment", kind, gpu_app.NO_GPU, work / "context")
    options = ["--isolation=chroot", "--build-arg", f"PYTHON_IMAGE={base}", *container.pip_options(work)]
    architecture = container.architecture()
    command = find_builder("buildah").build_command(name, gpu_app.STAGE, context, options, architecture=architecture)
    container.buildah(*command[1:])
    try:
        with container.mounted(name) as root:
            config = container.config_of(name)
            assert config["User"] == "65534:65534"
            log = work / "log"
            process = container.start(root, {"Cmd": []} | config, environment, log)
            try:
                yield
            except BaseException:
                print(log.read_text(errors="replace")[-3000:])
                raise
            finally:
                process.terminate()
                process.wait(20)
    finally:
        container.buildah("rmi", name)


def test_the_image_for_cog_answers_a_prediction(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running("cog", {"PORT": str(port)}, tmp_path), Callbacks().running() as callbacks:
        until(lambda: get(f"{url}/health-check")["status"] == "READY", "Cog's server", 60)
        look = callbacks.outcome(make_backend({"kind": "cog", "url": url}, {"token": "t"}), INPUT)
        assert isinstance(look, Succeeded), look
        assert look.output == OUTPUT


def test_the_image_for_runpod_works_on_a_job(tmp_path: Path) -> None:
    with RunPodPlatform("key").running() as platform, running("runpod", platform.worker_environment(), tmp_path):
        settings = {"kind": "runpod", "url": f"{platform.url}/v2", "endpoint": "abc123"}
        look = looked(make_backend(settings, {"token": "key"}), INPUT)
        assert look == Succeeded(OUTPUT, 1.5), json.dumps([job.document() for job in platform.jobs.values()])
