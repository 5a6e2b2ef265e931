"""Models of real users, brought in as the documentation says: `make test-own-models`.

Needs the package index and some minutes, so it is no part of the default run. What the person saw at each step is in
build/own-models/transcript.txt afterwards.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import socket_allow_hosts

from scripts.console import BUILD
from tests.own_models.checkout import Checkout


def pytest_runtest_setup() -> None:
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.own_models)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout with an emulator of its own, which is shut down at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    checkout = Checkout.copied(tmp_path_factory.mktemp("own-models"), port, BUILD / "own-models" / "transcript.txt")
    yield checkout
    checkout.make("down", code=None)
