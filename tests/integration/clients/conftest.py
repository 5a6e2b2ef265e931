"""Clients of both kinds, and what they talk to."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import pytest

from inference.aws import clients
from inference.aws.lean import LeanClient
from scripts.local.emulator import Emulator
from tests.integration.clients.scripted_server import (
    ScriptedServer,
)


@dataclass
class Maker:
    """Makes clients of one kind from the environment; `pauses` are the seconds that they would have waited."""

    kind: str
    monkeypatch: pytest.MonkeyPatch
    pauses: list[float] = field(default_factory=list)

    def __call__(self, service: str, url: str, **environment: str) -> Any:
        settings = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
            self.monkeypatch.delenv(name)
        for name, value in {**settings, "AWS_ENDPOINT_URL": url, **environment}.items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials it has seen
        clients.client.cache_clear()
        clients.lean_client.cache_clear()
        client = clients.client(service) if self.kind == "boto3" else clients.lean_client(service)
        if self.kind == "lean":
            assert isinstance(client, LeanClient)
            self.monkeypatch.setattr(client.retries, "pause", self.pauses.append)
        return client


@pytest.fixture(params=["boto3", "lean"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    maker = Maker(request.param, monkeypatch)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=maker.pauses.append))
    yield maker
    clients.client.cache_clear()
    clients.lean_client.cache_clear()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    emulator = Emulator(port, tmp_path_factory.mktemp("emulator"), lifetime_seconds=600)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="session")
def admin(emulator: Emulator) -> Callable[[str], Any]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return lambda name: boto3.Session(**keys, region_name="us-east-1").client(name, endpoint_url=emulator.endpoint)
