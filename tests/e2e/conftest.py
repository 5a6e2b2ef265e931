"""A real deployment on an emulator of its own: the same Terraform, packages and HTTP as anywhere, faults included.

The tree that Terraform sees is a copy, so that neither state nor changes touch the checkout or a demo that is up.

E2E_FOLDER=dir keeps emulator and deployment in that folder for the next run: for the work on a test, since applying
everything again takes minutes. `.venv/bin/python -m scripts.local.emulator` knows nothing of it; it ends after an hour.

E2E_STRIP_ITEMS=1 sends all calls of the faulty workers, the soak's among them, by the edge, which takes `Error.Item`
out of rejected batch statements: whether AWS returns it is contested.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment.environment_config import MODELS
from scripts.deployment.terraform import terraform_env
from scripts.local.emulator import Emulator
from scripts.packaging.package import build
from tests import openapi
from tests.e2e.control import Control
from tests.e2e.deployment import Deployment
from tests.e2e.edge import Edge
from tests.e2e.faults.package import HANDLER, add_faults
from tests.e2e.http_client import Api
from tests.e2e.own import Own, own_deployment
from tests.e2e.webhooks import webhooks
from tests.provider_process import install_provider, running_provider

ROOT = Path(__file__).parents[2]
E2E_MODELS = Path(__file__).parent / "models"
OTHER_WAYS = {"test_backend", "test_pipeline", "test_sync"}
KEPT = os.environ.get("E2E_FOLDER")
STRIP = bool(os.environ.get("E2E_STRIP_ITEMS"))

FAULT_POINTS = ("before-claim", "after-claim", "during-predict", "before-finish", "after-finish")
"""Each has a model of its own, so that they can be tested at the same time."""


ENVIRONMENTS = 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests are in three parts, of which `make` runs two at a time: those of the session's deployment, those of
    other ways in than the API's, and the rest, whose deployments are their own, too."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if item.path.stem in OTHER_WAYS:
            item.add_marker(pytest.mark.other_way)
        elif "deployment" not in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.own_deployment)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this session's emulator and its copy of the tree are."""
    return Path(KEPT).resolve() if KEPT else tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="session")
def emulator(folder: Path) -> Iterator[Emulator]:
    """The emulator of this test session, on a port that was free, with IAM enforced."""
    place = folder / "emulator"
    place.mkdir(parents=True, exist_ok=True)
    port = Emulator(folder=place).running_port or free_port()
    emulator = Emulator(port, place, lifetime_seconds=3600)
    if emulator.start():
        shutil.rmtree(folder / "tree", ignore_errors=True)
    try:
        yield emulator
    finally:
        if not KEPT:
            emulator.stop()
        elif emulator._process is not None:
            emulator._process.returncode = 0  # it goes on, and nobody has to complain about that


@pytest.fixture(scope="session")
def edge(emulator: Emulator, folder: Path) -> Iterator[Edge]:
    """What stands between one of the workers and AWS, and can fail in AWS's place."""
    with Edge(emulator.endpoint, folder / "edge-port") as edge:
        yield edge


@pytest.fixture(scope="session")
def tree(folder: Path, emulator: Emulator) -> Path:
    """A copy of what Terraform reads: its own folder, the API's routes, the models' manifests, and the packages."""
    tree = folder / "tree"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*", "tests")
    shutil.copytree(ROOT / "terraform", tree / "terraform", ignore=ignored, dirs_exist_ok=True)
    (tree / "lambda").mkdir(exist_ok=True)
    openapi.copy_descriptions(tree / "lambda")
    shutil.copytree(MODELS, tree / "worker" / "models", dirs_exist_ok=True)
    packages = build(tree / "build" / "packages", [MODELS, E2E_MODELS])
    for source in ("faulty", "hanging"):
        add_faults(packages.workers[source])
    return tree


@pytest.fixture(scope="session")
def provider_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The AWS provider that the environments pin."""
    return install_provider(tmp_path_factory.mktemp("provider"), terraform_env())


@pytest.fixture(scope="session")
def provider(emulator: Emulator, tree: Path, provider_binary: Path) -> Iterator[dict[str, str]]:
    """The variables with which Terraform uses a running provider, aimed at this session's emulator."""
    folder = tree / "terraform" / "environments" / "local"  # all others are as deep
    with running_provider(provider_binary, folder, emulator.client_env(terraform_env())) as provider:
        yield provider


@pytest.fixture(scope="session")
def deployment(emulator: Emulator, tree: Path, provider: dict[str, str]) -> Iterator[Deployment]:
    """`environments/local`, applied with its own models; destroyed at the end."""
    deployment = Deployment(tree / "terraform" / "environments" / "local", emulator, tree, provider)
    with aimed_at(emulator):
        assert KEPT or deployment.left() == {}
        deployment.override(webhooks=webhooks(deployment))
        deployment.apply()
        yield deployment
        if not KEPT:
            deployment.destroy()
            assert deployment.left() == {}, "terraform destroy left something behind"


@pytest.fixture(scope="session")
def own(deployment: Deployment, emulator: Emulator, tree: Path, provider: dict[str, str]) -> Iterator[Own]:
    """A second deployment, which ends before the first: that one's destroy leaves nothing at all."""
    with aimed_at(emulator), own_deployment(emulator, tree, provider) as own:
        yield own


@contextlib.contextmanager
def aimed_at(emulator: Emulator) -> Iterator[None]:
    """The process's environment with the emulator in it: the provider, botocore and python-terraform read it."""
    before = dict(os.environ)
    os.environ.update(terraform_env({**os.environ, **emulator.env}))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def with_models(**others: dict[str, Any]) -> dict[str, Any]:
    """The setting `models` of environments/local with others beside its own."""
    return {"models": {"sentiment": {"timeout_seconds": 15, "maximum_concurrency": 2}, **others}}


def _faulty_models(tree: Path, edge: Edge) -> dict[str, dict[str, Any]]:
    def settings(source: str) -> dict[str, Any]:
        zip_path = tree / "build" / "packages" / f"worker-{source}-faults.zip"
        return {
            "source": source,
            "models_dir": str(E2E_MODELS),
            "package": {"zip": {"path": str(zip_path), "handler": HANDLER}},
            "maximum_concurrency": 2,
        }

    faulty = settings("faulty")
    at_the_edge = {"environment": {"AWS_ENDPOINT_URL": edge.url}}
    if STRIP:
        faulty |= at_the_edge
    return {
        **dict.fromkeys(FAULT_POINTS, faulty),
        "deliveries": faulty,
        "soak": {**faulty, "maximum_concurrency": 4},
        "edge": {**faulty, "timeout_seconds": 8, **at_the_edge},
        "hanging": {**settings("hanging"), "environment": {"INIT_SECONDS": "2"}},
    }


@dataclass(frozen=True)
class Addition:
    """A model that was added to a deployment: what the plan said, before it was applied."""

    deployment: Deployment
    changes: dict[str, list[str]]


@pytest.fixture(scope="session")
def addition(deployment: Deployment, tree: Path, edge: Edge) -> Addition:
    """The deployment with more models added to it: a tiny one, one that is kept ready, those that fail on demand."""
    tiny = {"models_dir": str(E2E_MODELS), "maximum_concurrency": 2}
    kept = {
        **tiny,
        "source": "wordcount",
        "warmth": {"warmer": {"environments": ENVIRONMENTS, "schedule": "rate(1 minute)"}},
    }
    deployment.override(
        webhooks=webhooks(deployment),
        **with_models(wordcount=tiny, digest=tiny, kept=kept, **_faulty_models(tree, edge)),
    )
    changes = deployment.changes()
    deployment.apply()
    return Addition(deployment, changes)


@pytest.fixture(scope="session")
def api(deployment: Deployment) -> Api:
    """The deployed API, over HTTP."""
    return Api(deployment.base_url)


@pytest.fixture(scope="session")
def control(addition: Addition) -> Control:
    """The deployment with all its models, from behind."""
    return Control(addition.deployment)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The repository's files in a folder with spaces in its name, without what was built."""
    folder = tmp_path / "a clone with spaces"
    ignored = shutil.ignore_patterns("__pycache__", ".terraform*", "*.tfstate*", "*_override.tf*")
    for name in ("terraform", "lambda", "worker", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder
