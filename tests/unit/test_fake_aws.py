"""The bench's fake AWS, with boto3 and our adapters."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from inference import transitions
from inference.requests import Message, Record, Status
from inference.store.request_queue import RequestQueue
from inference.store.request_table import Applied, RequestTable
from scripts.bench.fake_aws import Answers, Connection


class _Raw:
    """What botocore reads a response from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> list[bytes]:
        return [self._data]


def _answered_by(client: Any, answers: Answers) -> Any:
    """Let the fake answer a boto3 client's requests, without a socket in between."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        status, body = answers.answer(target.decode() if isinstance(target, bytes) else target, request.body)
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, _Raw(body))

    client.meta.events.register("before-send.*", answer)
    return client


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def client(answers: Answers) -> Callable[[str], Any]:
    session = boto3.Session(aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")
    return lambda service: _answered_by(session.client(service, endpoint_url="http://127.0.0.1:1"), answers)


def _record() -> Record:
    return Record("1f", Status.PENDING, "sentiment", "me", 1000, 9_000_000_000_000, 9_000_000_000, 5)


def test_a_record_can_be_written_and_read(client: Callable[[str], Any]) -> None:
    table = RequestTable(client("dynamodb"), "requests")
    assert table.create(_record()) is None
    assert table.get("1f") == _record()
    assert table.get("2f") is None
    assert table.discard(_record()) is True


def test_claims_apply_one_by_one_and_together(answers: Answers, client: Callable[[str], Any]) -> None:
    table, trace = (
        RequestTable(client("dynamodb"), "requests"),
        {"invocation_id": "i", "model_version": "1", "code_digest": "sha256:1"},
    )
    claims = [transitions.claim_first(str(number), 1000, 5000, 2000, **trace) for number in range(3)]
    (one,) = table.apply(claims[:1])
    assert isinstance(one, Applied) and one.record is not None
    assert (one.record.status, one.record.attempts, one.record.lease_until) == (Status.RUNNING, 1, 5000)
    assert all(isinstance(written, Applied) for written in table.apply(claims))
    assert answers.counts()["calls"] == {
        "DynamoDB_20120810.UpdateItem": 1,
        "DynamoDB_20120810.BatchExecuteStatement": 1,
    }
    assert answers.counts()["statements"] == 3


def test_messages_can_be_sent_and_hidden(answers: Answers, client: Callable[[str], Any]) -> None:
    queue = RequestQueue(client("sqs"), "http://127.0.0.1:1/000000000000/q")
    queue.send(Message("1f", "sentiment", {"text": "é"}, 1, 2, 5), "sentiment:0")
    assert queue.set_visibility({"a": 1, "b": 2}) == []
    assert list(answers.counts()["calls"].values()) == [1, 1]
    answers.reset()
    assert answers.counts() == {"calls": {}, "statements": 0, "samples": {}}


def test_the_reference_workers_resource_is_answered_too(answers: Answers) -> None:
    session = boto3.Session(aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")
    resource = session.resource("dynamodb", endpoint_url="http://127.0.0.1:1")
    _answered_by(resource.meta.client, answers)
    table = resource.Table("results")
    table.put_item(Item={"request_id": "r", "status": "completed"})
    assert table.get_item(Key={"request_id": "r"})["Item"] == {"request_id": "r", "status": "completed"}


def test_an_unknown_call_is_rejected(client: Callable[[str], Any]) -> None:
    dynamodb = client("dynamodb")
    with pytest.raises(dynamodb.exceptions.ClientError, match=r"does not support DynamoDB_20120810\.ListTables"):
        dynamodb.list_tables()


class _Transport(asyncio.WriteTransport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)


def test_requests_may_arrive_in_pieces_or_together() -> None:
    body = json.dumps({"TableName": "t", "Item": {"request_id": {"S": "r"}}}).encode()
    head = f"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.PutItem\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    answers, transport = Answers(), _Transport()
    connection = Connection(answers)
    connection.connection_made(transport)
    for position in range(len(request)):
        connection.data_received(request[position : position + 1])
    connection.data_received(request + request)
    assert answers.counts()["calls"] == {"DynamoDB_20120810.PutItem": 3}
    assert transport.written.count(b"HTTP/1.1 200 OK") == 3
