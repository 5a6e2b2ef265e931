"""Fakes of AWS: moto in this process, and the emulator as a process of its own. Nothing leaves this machine."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws
from pytest_socket import socket_allow_hosts

from inference.aws import clients
from inference.aws.boto3_bucket import Boto3Bucket
from inference.catalog import packaged_validator
from scripts.deployment.environment_config import MODELS
from scripts.local.emulator import Emulator
from scripts.packaging.package import build
from tests.integration.package_process import unpacked_worker
from tests.integration.system import System

E2E_MODELS = Path(__file__).parents[1] / "e2e" / "models"
NEVER_LOADS = """

import time
class Slow(WordCount):
    def __init__(self, runtime, manifest):
        time.sleep(3600)
WordCount = None
"""


def pytest_runtest_setup() -> None:
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """lambda.zip, unpacked; its generated validators can be imported."""
    folder = tmp_path_factory.mktemp("package")
    packages = build(folder / "zips", [MODELS, E2E_MODELS], ["sentiment", "wordcount"])
    with zipfile.ZipFile(packages.lambda_zip) as archive:
        archive.extractall(folder / "lambda")
    packaged_validator.cache_clear()
    sys.path.append(str(folder / "lambda"))
    yield folder / "lambda"
    sys.path.remove(str(folder / "lambda"))
    packaged_validator.cache_clear()


@pytest.fixture(scope="session")
def slow_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A worker whose model never ends to load, unpacked."""
    folder = tmp_path_factory.mktemp("slow")
    shutil.copytree(E2E_MODELS / "wordcount", folder / "models" / "wordcount")
    with (folder / "models" / "wordcount" / "model.py").open("a", encoding="utf-8") as file:
        file.write(NEVER_LOADS)
    return unpacked_worker(folder, folder / "models", "wordcount")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator of these tests' own, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    emulator = Emulator(port, tmp_path_factory.mktemp("emulator"), lifetime_seconds=3600)
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture(scope="module")
def module_patch() -> Iterator[pytest.MonkeyPatch]:
    """A monkeypatch that lasts as long as a module's tests."""
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    yield patch
    patch.undo()


@pytest.fixture(scope="module")
def on_moto(module_patch: pytest.MonkeyPatch) -> Iterator[None]:
    """boto3 talks to moto, which sees nothing of what the lean client does."""
    module_patch.setattr(clients, "lean_client", clients.client)
    module_patch.setattr(clients, "bucket", lambda name, *_: Boto3Bucket(clients.client("s3"), name))
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        module_patch.setenv(name, value)
    module_patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        clients.client.cache_clear()
        yield
    clients.client.cache_clear()


@pytest.fixture(scope="module")
def on_emulator(module_patch: pytest.MonkeyPatch, emulator: Emulator) -> Iterator[None]:
    """Both clients talk to the emulator."""
    for name, value in emulator.env.items():
        module_patch.setenv(name, value)
    clients.client.cache_clear()
    clients.lean_client.cache_clear()
    clients.bucket.cache_clear()
    yield
    clients.client.cache_clear()
    clients.lean_client.cache_clear()
    clients.bucket.cache_clear()


@pytest.fixture(scope="module")
def moto_system(on_moto: None, package: Path, module_patch: pytest.MonkeyPatch) -> System:
    # moto applies PartiQL statements without looking at their conditions.
    return System(package, module_patch, statements=1)


@pytest.fixture
def system(moto_system: System) -> Iterator[System]:
    """The system on moto, as new."""
    yield moto_system
    moto_system.clear()


@pytest.fixture(scope="module")
def emulated_system(on_emulator: None, package: Path, module_patch: pytest.MonkeyPatch) -> Iterator[System]:
    """The system on the emulator; its table and queues are this module's."""
    system = System(package, module_patch, statements=25)
    yield system
    system.remove()
