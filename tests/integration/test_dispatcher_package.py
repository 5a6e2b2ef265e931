"""The dispatcher's zip as Lambda starts its two functions: in a process of its own, with the package alone on its path.

What they do together is in tests/e2e/test_backend.py.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig
from scripts.packaging.package import build_for_environment
from scripts.stack_defaults import worker_environment
from tests.integration.conftest import E2E_MODELS
from tests.integration.package_process import run_script

ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:token-AbCdEf"
RUNPOD = {
    "kind": "runpod",
    "endpoint": "abc123",
    "token_secret_arn": ARN,
    "poll_seconds": {"min": 2, "max": 120},
    "callbacks": True,
}
AWS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def environment(**backend: object) -> dict[str, str]:
    own = {"MODELS": '{"far": "wordcount"}', "REQUEST_TABLE": "t", "QUEUE_URL": "https://sqs.example/1/far"}
    return AWS | worker_environment() | own | {"BACKENDS": json.dumps({"far": RUNPOD | backend})}


@pytest.fixture(scope="module")
def dispatcher_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dispatcher")
    model = ConfiguredModel("far", E2E_MODELS / "wordcount", own_package=True, backend=True)
    packages = build_for_environment(folder, "local", EnvironmentConfig("x86_64", {"far": model}))
    with zipfile.ZipFile(packages.workers["dispatcher.zip"]) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.mark.parametrize("module", ["dispatch_handler", "callbacks_handler"])
def test_it_starts_without_the_libraries_of_a_runtime(dispatcher_package: Path, module: str) -> None:
    script = (
        f"import sys, worker.{module}\nprint(sorted({{'torch', 'numpy', 'onnxruntime', 'boto3'}} & sys.modules.keys()))"
    )
    process = run_script(dispatcher_package, script, environment())
    assert process.returncode == 0, process.stderr
    assert process.stdout == "[]\n"


@pytest.mark.parametrize("module", ["dispatch_handler", "callbacks_handler"])
def test_a_wrong_setting_fails_the_start_and_is_named(dispatcher_package: Path, module: str) -> None:
    process = run_script(dispatcher_package, f"import worker.{module}", environment(endpoint="a/b"))
    assert process.returncode != 0
    assert "ConfigurationError: endpoint of a backend of the kind runpod" in process.stderr


def test_settings_that_are_missing_are_all_named(dispatcher_package: Path) -> None:
    process = run_script(dispatcher_package, "import worker.dispatch_handler", {})
    for name in ("REQUEST_TABLE", "MODELS", "BACKENDS", "QUEUE_URL", *worker_environment()):
        assert f"{name} is missing" in process.stderr
