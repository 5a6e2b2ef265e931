"""One contract, two clients: what is sent and what is read is the same for boto3's client and for the lean one."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import json
import socket
import ssl
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    SSLError,
)

from inference.aws import clients, wire
from inference.aws.lean import LeanClient
from inference.conditions import Eq
from inference.store.expressions import to_statement, to_update_item
from inference.transitions import ANY, Increment, Transition, Update
from tests.integration.clients.conftest import Maker
from tests.integration.clients.scripted_server import (
    Answer,
    ScriptedServer,
    chunked,
    closes,
    cut,
    rejects,
    says,
    sends,
    then_closes,
)

ITEM = {"request_id": {"S": "a"}}
IF_ONE = (Eq("n", 1),)
PLAIN = Update(Transition(ANY, None, IF_ONE, removes=("r",)), "a", {})
LARGE = Update(Transition(ANY, None, IF_ONE, {"s": "x" * 300_000, "i": Increment()}, ("r",)), "a", {})


def get(client: Any) -> Any:
    return client.get_item(TableName="t", Key=ITEM)


# What is sent


def test_both_send_the_same(make: Maker, server: ScriptedServer) -> None:
    calls: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "dynamodb": [
            ("put_item", {"TableName": "t", "Item": {"a": {"S": "ünï\u2028 \U0001f600"}, "b": {"BOOL": True}}}),
            ("get_item", {"TableName": "t", "Key": ITEM, "ConsistentRead": False}),
            ("update_item", to_update_item(LARGE, "t")),
            ("delete_item", {"TableName": "t", "Key": ITEM}),
            ("batch_execute_statement", {"Statements": [to_statement(PLAIN, "t")]}),
            ("query", {"TableName": "t", "IndexName": "caller", "ExclusiveStartKey": ITEM, "ScanIndexForward": False}),
            ("batch_get_item", {"RequestItems": {"t": {"Keys": [ITEM], "ProjectionExpression": "a"}}}),
        ],
        "sqs": [
            ("send_message", {"QueueUrl": "http://q/1/q", "MessageBody": "\ud800 lone"}),
            (
                "change_message_visibility_batch",
                {"QueueUrl": "http://q/1/q", "Entries": [{"Id": "0", "ReceiptHandle": "r", "VisibilityTimeout": 3}]},
            ),
            ("get_queue_attributes", {"QueueUrl": "http://q/1/q", "AttributeNames": ["All"]}),
        ],
    }
    for service, methods in calls.items():
        client = make(service, server.url, AWS_SESSION_TOKEN="tok/en==", AWS_LAMBDA_FUNCTION_NAME="f")
        make.monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-67a0f2c1-0a1b2c3d4e5f60718293a4b5;Sampled=0")
        for method, arguments in methods:
            getattr(client, method)(**arguments)
            received = server.received[-1]
            assert json.loads(received.body) == arguments
            headers = received.headers
            words = method.split("_")
            assert received.operation == "".join(word.capitalize() for word in words)
            assert headers["content-type"] == "application/x-amz-json-1.0"
            assert headers["host"] == server.url.removeprefix("http://")
            assert headers["x-amz-security-token"] == "tok/en=="
            assert headers["x-amzn-trace-id"] == "Root=1-67a0f2c1-0a1b2c3d4e5f60718293a4b5;Sampled=0"
            assert headers.get("x-amzn-query-mode") == ("true" if service == "sqs" else None)
            assert "gzip" not in headers.get("accept-encoding", "")
            signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
            assert f"SignedHeaders={signed}" in headers["authorization"]


# Answers


@pytest.mark.parametrize(
    "answer",
    [
        says({"Item": ITEM}),
        chunked(b'{"Item": {"request_id"', b': {"S": "a"}}}'),
        then_closes(sends(b'HTTP/1.1 200 OK\r\n\r\n{"Item": {"request_id": {"S": "a"}}}')),
        says({"Item": ITEM}, x_amz_crc32=str(zlib.crc32(json.dumps({"Item": ITEM}).encode()))),
    ],
    ids=["length", "chunked", "until the end", "checksum"],
)
def test_reads_an_answer(make: Maker, server: ScriptedServer, answer: Answer) -> None:
    server.script = [answer]
    answered = get(make("dynamodb", server.url))
    assert answered["Item"] == ITEM
    assert answered["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_reads_a_large_answer(make: Maker, server: ScriptedServer) -> None:
    item = {"result": {"S": "é" * 390_000}}
    server.script = [says({"Item": item})]
    assert get(make("dynamodb", server.url))["Item"] == item


def test_a_connection_serves_many_calls(make: Maker, server: ScriptedServer) -> None:
    client = make("dynamodb", server.url)
    for _ in range(20):
        get(client)
    assert server.connections == 1


def test_rejections_are_client_errors(make: Maker, server: ScriptedServer) -> None:
    server.script = [rejects("ConditionalCheckFailedException", Item=ITEM)]
    with pytest.raises(ClientError) as caught:
        make("dynamodb", server.url).put_item(TableName="t", Item=ITEM)
    response = caught.value.response
    assert response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert response["Error"]["Message"] == "ConditionalCheckFailedException, says the test"
    assert response["Item"] == ITEM  # type: ignore[typeddict-item]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.operation_name == "PutItem"
    assert len(server.received) == 1


def test_errors_of_sqs_have_their_old_names(make: Maker, server: ScriptedServer) -> None:
    body = {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"}
    server.script = [says(body, 400, x_amzn_query_error="AWS.SimpleQueueService.NonExistentQueue;Sender")]
    with pytest.raises(ClientError) as caught:
        make("sqs", server.url).send_message(QueueUrl="http://q/1/q", MessageBody="x")
    assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"\xff"])
def test_an_error_that_is_not_json_is_a_client_error(make: Maker, server: ScriptedServer, body: bytes) -> None:
    server.script = [says(body, 403)]
    if make.kind == "boto3" and body == b"\xff":
        pytest.skip("botocore lets UnicodeDecodeError out")
    with pytest.raises(ClientError) as caught:
        get(make("dynamodb", server.url))
    assert caught.value.response["Error"]["Code"] == "403"


# Connections


def test_a_connection_that_was_closed_meanwhile_is_replaced(make: Maker, server: ScriptedServer) -> None:
    server.script = [then_closes(says({})), says({"Item": ITEM})]
    client = make("dynamodb", server.url)
    get(client)
    assert server.closed.wait(10)
    assert get(client)["ResponseMetadata"]["RetryAttempts"] == 0
    assert server.connections == 2
    assert make.pauses == []


def test_a_connection_that_dies_on_the_next_request_is_replaced(make: Maker, server: ScriptedServer) -> None:
    """As after Lambda froze the process: the connection looks open, and only the request shows that it is closed."""
    server.script = [says({}), closes, says({"Item": ITEM})]
    client = make("dynamodb", server.url)
    get(client)
    assert get(client)["Item"] == ITEM
    assert [received.connection for received in server.received] == [1, 1, 2]
    assert len(make.pauses) == (1 if make.kind == "boto3" else 0), "the lean client does not wait"


@pytest.mark.parametrize("make", ["lean"], indirect=True)
class TestLeanConnections:
    def test_a_stale_connection_takes_the_other_idle_ones_along(self, make: Maker, server: ScriptedServer) -> None:
        barrier = threading.Barrier(2)

        def together(connection: socket.socket, received: Any) -> bool:
            barrier.wait(10)
            return says({})(connection, received)

        server.script = [together, together, closes]
        client = make("dynamodb", server.url)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: get(client), range(2)))
        get(client)
        assert server.connections == 3
        assert server.received[-1].connection == 3
        assert make.pauses == []

    def test_is_not_used_again_after_its_idle_time(
        self, make: Maker, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = itertools.count(1_000_000, wire.MAX_IDLE_SECONDS)
        monkeypatch.setattr(wire, "time", SimpleNamespace(time=lambda: next(clock), monotonic=time.monotonic))
        client = make("dynamodb", server.url)
        get(client)
        get(client)
        assert server.connections == 2

    def test_is_closed_after_a_failure(self, make: Maker, server: ScriptedServer) -> None:
        """A late answer must never be taken for the next call's."""
        server.script = [cut, says({"Item": ITEM})]
        assert get(make("dynamodb", server.url))["Item"] == ITEM
        assert [received.connection for received in server.received] == [1, 2]

    def test_boto3_takes_over_where_the_environment_asks_for_more(self, make: Maker, server: ScriptedServer) -> None:
        make("dynamodb", server.url)
        make.monkeypatch.setenv("AWS_ENDPOINT_URL", server.url + "/path")
        clients.lean_client.cache_clear()
        assert not isinstance(clients.lean_client("dynamodb"), LeanClient)
        get(clients.lean_client("dynamodb"))
        assert server.received


def test_threads_share_a_client(make: Maker, server: ScriptedServer) -> None:
    def echo(connection: socket.socket, received: Any) -> bool:
        return says({"Item": json.loads(received.body)["Key"]})(connection, received)

    server.otherwise = echo
    client = make("dynamodb", server.url)

    def call(number: int) -> bool:
        key = {"request_id": {"S": str(number)}}
        return bool(client.get_item(TableName="t", Key=key)["Item"] == key)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(200)))
    assert server.connections <= 8


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate of 127.0.0.1, and a server's TLS with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("certificate")
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    format = serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, format, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return path, context


def test_speaks_tls(make: Maker, certificate: tuple[Path, ssl.SSLContext]) -> None:
    path, tls = certificate
    with ScriptedServer(tls=tls, script=[says({}), says({"Item": ITEM}), then_closes(says({}))]) as server:
        client = make("dynamodb", server.url, AWS_CA_BUNDLE=str(path))
        get(client)
        assert get(client)["Item"] == ITEM
        assert server.connections == 1
        get(client)
        assert server.closed.wait(10)
        get(client)
        assert server.connections == 2


def test_rejects_a_certificate_that_it_does_not_know(make: Maker, certificate: tuple[Path, ssl.SSLContext]) -> None:
    with ScriptedServer(tls=certificate[1]) as server:
        with pytest.raises(SSLError):
            get(make("dynamodb", server.url))
        assert server.received == []
