"""One contract, two clients: what is tried again, how often, and what comes out when it does not help."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from inference.aws import clients
from tests.integration.clients.conftest import Maker
from tests.integration.clients.scripted_server import (
    Answer,
    ScriptedServer,
    closes,
    cut,
    rejects,
    says,
    sends,
    waits,
)

READ_TIMEOUT_SECONDS = 0.3
ITEM = {"request_id": {"S": "a"}}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "READ_TIMEOUT_SECONDS", READ_TIMEOUT_SECONDS)


def get(client: Any) -> Any:
    return client.get_item(TableName="t", Key=ITEM)


TRANSIENT = {
    "throttled": rejects("ThrottlingException"),
    "throughput": rejects("ProvisionedThroughputExceededException"),
    "replicated": rejects("ReplicatedWriteConflictException"),
    "500": rejects("InternalServerError", 500),
    "503 without JSON": says(b"<html>busy</html>", 503),
    "closed": closes,
    "cut": cut,
    "late": waits(READ_TIMEOUT_SECONDS * 2),
    "bad checksum": says({}, x_amz_crc32="1"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_tries_again(make: Maker, server: ScriptedServer, answer: Answer) -> None:
    server.script = [answer, answer, says({"Item": ITEM})]
    answered = make("dynamodb", server.url).put_item(TableName="t", Item=ITEM)
    assert answered["ResponseMetadata"]["RetryAttempts"] == 2
    assert len(server.received) == clients.ATTEMPTS
    assert len(make.pauses) == 2
    assert 0 <= make.pauses[0] <= 1
    assert 0 <= make.pauses[1] <= 2
    bodies = {received.body for received in server.received}
    assert len(bodies) == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (TRANSIENT["throttled"], ClientError),
        (TRANSIENT["500"], ClientError),
        (TRANSIENT["closed"], ConnectionClosedError),
        (TRANSIENT["cut"], BotoCoreError),
        (TRANSIENT["late"], ReadTimeoutError),
        (sends(b"SSH-2.0-OpenSSH\r\n", keep=False), BotoCoreError),
    ],
    ids=["throttled", "500", "closed", "cut", "late", "not HTTP"],
)
def test_gives_up(make: Maker, server: ScriptedServer, answer: Answer, kind: type[Exception]) -> None:
    server.otherwise = answer
    with pytest.raises(kind):
        make("sqs", server.url).send_message(QueueUrl="http://q/1/q", MessageBody="x")
    assert len(server.received) == clients.ATTEMPTS
    server.otherwise = says({})


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ExpiredTokenException"])
def test_does_not_repeat_what_will_not_help(make: Maker, server: ScriptedServer, code: str) -> None:
    server.otherwise = rejects(code)
    with pytest.raises(ClientError):
        get(make("dynamodb", server.url))
    assert len(server.received) == 1


def test_gives_up_sooner_when_everything_fails(make: Maker, server: ScriptedServer) -> None:
    """The retry quota: 500 tokens, five for a retry; a success gives one back."""
    failure = rejects("InternalServerError", 500)
    server.otherwise = failure
    client = make("dynamodb", server.url)
    for _ in range(60):
        with pytest.raises(ClientError):
            get(client)
    assert len(server.received) == 60 + 100
    server.otherwise = says({})
    for _ in range(10):
        get(client)
    server.received.clear()
    server.otherwise = failure
    for _ in range(2):
        with pytest.raises(ClientError):
            get(client)
    assert len(server.received) == 3 + 1


def test_nobody_listens(make: Maker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = make("dynamodb", f"http://127.0.0.1:{port}")
    with pytest.raises(EndpointConnectionError):
        get(client)
    assert len(make.pauses) == clients.ATTEMPTS - 1


def test_nobody_has_that_name(make: Maker) -> None:
    with pytest.raises(EndpointConnectionError):
        get(make("dynamodb", "http://no-such-host.invalid:1"))


def test_nobody_accepts(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CONNECT_TIMEOUT_SECONDS", 0.2)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):  # the queue of a listener that never accepts
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        client = make("dynamodb", f"http://127.0.0.1:{full.getsockname()[1]}")
        with pytest.raises((ConnectTimeoutError, ReadTimeoutError)) as caught:
            get(client)
        assert caught.type is ConnectTimeoutError
