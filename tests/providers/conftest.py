"""The same model folder at each provider's own software, and what it answers in a worker's own process."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import socket_allow_hosts

from scripts.deployment.environment_config import MODELS
from scripts.packaging.gpu_app import NO_GPU, write
from tests.providers.callbacks import Callbacks
from tests.providers.processes import run_code

INPUTS: tuple[dict[str, Any], ...] = (
    {"text": "I love it"},
    {"text": "This is the worst day ever", "threshold": 0.2},
    {"text": "ok ü\u2028 \U0001f600"},
    {"text": "", "threshold": 0.5},
    {"text": 5},
)
"""Three that are predicted, two that the schema rejects."""


def pytest_runtest_setup() -> None:
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The sentiment folder's app for each kind."""
    folder = tmp_path_factory.mktemp("apps")
    return {
        kind: write(MODELS / "sentiment", kind, NO_GPU, folder / kind) for kind in ("beam", "cog", "modal", "runpod")
    }


@pytest.fixture(scope="session")
def expected(apps: Mapping[str, Path]) -> list[dict[str, Any]]:
    """For each of INPUTS, what the worker's own code says in this repository's environment: `output`, or `error`."""
    code = (
        "import json\nfrom worker.providers.opened import Opened\nfrom worker.direct import output_of\n"
        "from worker.isolation import Succeeded\n"
        f"found = Opened().prediction.predict({list(INPUTS)!r})\n"
        "print(json.dumps([{'output': output_of(one)} if isinstance(one, Succeeded) else {'error': one.message} "
        "for one in found]))"
    )
    return run_code(sys.executable, code, apps["runpod"] / "app")  # type: ignore[no-any-return]


@pytest.fixture
def callbacks() -> Iterator[Callbacks]:
    with Callbacks().running() as running:
        yield running
