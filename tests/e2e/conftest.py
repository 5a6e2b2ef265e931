"""A real deployment on an emulator of its own: the same Terraform, packages and HTTP as anywhere, faults included.

The tree that Terraform sees is a copy, so that neither state nor changes touch the checkout or a demo that is up.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.emulator import Emulator
from scripts.package import MODELS, build
from scripts.terraform import terraform_env
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api

ROOT = Path(__file__).parents[2]
E2E_MODELS = Path(__file__).parent / "models"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The emulator of this test session, on a port that was free, with IAM enforced."""
    emulator = Emulator(_free_port(), tmp_path_factory.mktemp("emulator"), lifetime_seconds=3600)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what Terraform reads: its own folder, the models' manifests, and the packages."""
    tree = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "tests")
    shutil.copytree(ROOT / "terraform", tree / "terraform", ignore=ignored)
    shutil.copytree(MODELS, tree / "worker" / "models")
    build(tree / "build" / "packages", [MODELS, E2E_MODELS])
    return tree


@pytest.fixture(scope="session")
def deployment(emulator: Emulator, tree: Path) -> Iterator[Deployment]:
    """`environments/local`, applied with its own models; destroyed at the end."""
    # The provider and botocore read the endpoint from the process's environment, and so does python-terraform.
    before = dict(os.environ)
    os.environ.update(terraform_env({**os.environ, **emulator.env}))
    deployment = Deployment(tree / "terraform" / "environments" / "local", emulator, tree)
    try:
        assert deployment.left() == {}
        deployment.apply()
        yield deployment
        deployment.destroy()
        assert deployment.left() == {}, "terraform destroy left something behind"
    finally:
        os.environ.clear()
        os.environ.update(before)


def with_models(**others: dict[str, Any]) -> dict[str, Any]:
    """The variable `models` of environments/local with others beside its own."""
    return {"models": {"sentiment": {"timeout_seconds": 15, "maximum_concurrency": 2}, **others}}


@dataclass(frozen=True)
class Addition:
    """A model that was added to a deployment: what the plan said, before it was applied."""

    deployment: Deployment
    changes: dict[str, list[str]]


@pytest.fixture(scope="session")
def addition(deployment: Deployment) -> Addition:
    """The deployment with a second, tiny model added to it."""
    tiny = {"models_dir": str(E2E_MODELS), "maximum_concurrency": 2}
    deployment.override(**with_models(wordcount=tiny))
    changes = deployment.changes()
    deployment.apply()
    return Addition(deployment, changes)


@pytest.fixture(scope="session")
def api(deployment: Deployment) -> Api:
    """The deployed API, over HTTP."""
    return Api(deployment.base_url)
