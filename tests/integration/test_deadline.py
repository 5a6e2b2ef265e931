"""A service that takes calls and never answers: the client gets its 503 before Lambda ends the api function."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.aws.lean import LeanClient
from scripts.stack_defaults import api_environment
from tests.events import golden
from tests.integration.clients.scripted_server import Received, ScriptedServer, says
from tests.integration.system import load
from tests.integration.terraform_definition import MODULES

ANY_ID = "6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"


class Countdown:
    """Lambda's context of an invocation that has so many seconds."""

    aws_request_id = "invocation-1"

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


class Hanging(ScriptedServer):
    """Answers every operation but some, which it takes and leaves without an answer."""

    def __init__(self, *operations: str) -> None:
        super().__init__(otherwise=self._answer)
        self._operations = operations
        self._over = threading.Event()

    def _answer(self, connection: socket.socket, received: Received) -> bool:
        if received.operation in self._operations:
            self._over.wait(30)
            return False
        return says({})(connection, received)

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        super().__exit__(*error)

    def calls(self, operation: str) -> int:
        return sum(received.operation == operation for received in self.received)


Call = Callable[[Hanging, dict[str, Any], float], tuple[dict[str, Any], float]]


@pytest.fixture(params=["lean", "boto3"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def seconds(kind: str) -> float:
    """An invocation's time. boto3's tries can't be shortened: it gets the stack's default, the lean client less."""
    return 3.0 if kind == "lean" else 10.0


@pytest.fixture
def call(kind: str, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Sends an event to an api function whose AWS is the server. Gives the response and the seconds it took."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config").touch()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull if kind == "lean" else str(tmp_path / "config"),
        "REQUEST_TABLE": "t",
        "MODELS": '{"sentiment": "sentiment"}',
        "DEFAULT_MODEL": "sentiment",
        "QUEUE_URL_PREFIX": "http://127.0.0.1/1/",
    } | api_environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def invoke(server: Hanging, event: dict[str, Any], seconds: float) -> tuple[dict[str, Any], float]:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        api = load(package / "api.py")
        assert isinstance(clients.lean_client("dynamodb", api.deadline), LeanClient) == (kind == "lean")
        clients.lean_client("sqs", api.deadline)
        started = time.monotonic()
        response = api.handler(event, Countdown(seconds))
        return response, time.monotonic() - started

    yield invoke
    clients.client.cache_clear()
    clients.lean_client.cache_clear()


def assert_unavailable(response: dict[str, Any]) -> None:
    assert response["statusCode"] == 503
    assert int(response["headers"]["Retry-After"]) > 0
    problem = json.loads(response["body"])
    assert problem["status"] == 503
    assert "stored" not in problem["detail"], "it may have been"


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("operation", ["PutItem", "SendMessage"])
def test_a_submit_ends_and_its_record_is_withdrawn(call: Call, seconds: float, operation: str, key: str | None) -> None:
    event = golden("http_predict")
    if key is not None:
        event["headers"]["idempotency-key"] = key
    with Hanging(operation) as server:
        response, took = call(server, event, seconds)
        assert_unavailable(response)
        assert took < seconds - 0.2
        assert server.calls(operation) >= 1
        assert server.calls("DeleteItem") == 1


def test_a_submit_ends_even_if_its_record_cannot_be_withdrawn(call: Call, seconds: float) -> None:
    with Hanging("PutItem", "SendMessage", "DeleteItem") as server:
        response, took = call(server, golden("http_predict"), seconds)
        assert_unavailable(response)
        assert took < seconds - 0.2


@pytest.mark.parametrize("event", ["http_status", "http_cancel"])
def test_a_poll_and_a_cancel_end(call: Call, seconds: float, event: str) -> None:
    with Hanging("GetItem") as server:
        asked = golden(event) | {"pathParameters": {"request_id": ANY_ID}}
        response, took = call(server, asked, seconds)
        assert_unavailable(response)
        assert took < seconds - 0.2


def test_with_the_default_time_the_lean_client_tries_again(call: Call, kind: str) -> None:
    if kind != "lean":
        pytest.skip("a hang takes all the time that boto3 has before the withdrawal")
    with Hanging("SendMessage") as server:
        response, took = call(server, golden("http_predict"), 10.0)
        assert_unavailable(response)
        assert took < 9.8
        assert (server.calls("SendMessage"), server.calls("DeleteItem")) == (2, 1)


def test_an_address_that_takes_no_connection_ends_too(call: Call, seconds: float) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, Hanging() as server:
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        server._listener.close()
        server._listener = full
        response, took = call(server, golden("http_predict"), seconds)
        for filler in fillers:
            filler.close()
    assert_unavailable(response)
    assert took < seconds - 0.2


def test_the_least_time_that_the_stack_allows_is_enough_for_a_call(call: Call) -> None:
    limit = re.search(r"api\.timeout_seconds >= (\d+)", (MODULES.parent / "stack" / "variables_api.tf").read_text())
    assert limit is not None
    with Hanging() as server:
        response, _ = call(server, golden("http_predict"), float(limit[1]))
    assert response["statusCode"] == 202


def test_no_deadline_no_limit() -> None:
    assert Deadline().remaining() == float("inf")
