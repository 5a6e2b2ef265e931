"""Both clients under the adapters, against APIs of DynamoDB and SQS that check signatures and permissions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
)

from inference.requests import Message, Record, Status
from inference.store.request_queue import RequestQueue
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.transitions import PENDING, Transition, Update
from scripts.local.emulator import Emulator
from tests.integration.clients.conftest import Maker

ITEM = {"request_id": {"S": "a"}}


@pytest.fixture
def table(admin: Callable[[str], Any]) -> Iterator[str]:
    key = {"AttributeName": "request_id"}
    admin("dynamodb").create_table(
        TableName="test",
        AttributeDefinitions=[{**key, "AttributeType": "S"}],
        KeySchema=[{**key, "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield "test"
    admin("dynamodb").delete_table(TableName="test")


@pytest.fixture
def queue_url(admin: Callable[[str], Any]) -> Iterator[str]:
    url = admin("sqs").create_queue(QueueName="q")["QueueUrl"]
    yield url
    admin("sqs").delete_queue(QueueUrl=url)


def record(request_id: str, **fields: Any) -> Record:
    ids = {"request_id": request_id, "model": "sentiment", "caller": "jürgen"}
    return Record(**ids, status=Status.PENDING, submitted_at=1, expires_at=9, delete_at=9, attempt_limit=5, **fields)


def test_the_request_table_works(make: Maker, emulator: Emulator, table: str) -> None:
    requests = RequestTable(make("dynamodb", emulator.endpoint), table)
    first = record("a", result="ünï\u2028 \U0001f600" + "x" * 200_000)
    assert requests.create(first) is None
    assert requests.get("a", consistent=True) == first
    assert requests.create(record("a", attempts=1)) == first, "the item of the failed condition comes back"
    assert requests.find("nobody") is None

    start = Transition(PENDING, Status.RUNNING)
    [applied] = requests.apply([Update(start, "a", {})])
    assert isinstance(applied, Applied)
    assert applied.record is not None
    assert applied.record.status is Status.RUNNING
    [rejected] = requests.apply([Update(start, "a", {})])
    assert isinstance(rejected, ConditionFailed)
    assert rejected.record == applied.record

    assert not requests.discard(first), "it runs already"
    requests.create(record("b"))
    together = requests.apply([Update(start, name, {}) for name in ("a", "b", "nobody")])
    assert [type(written) for written in together] == [ConditionFailed, Applied, ConditionFailed]
    requests.create(record("c"))
    assert requests.discard(record("c"))
    assert requests.get("c", consistent=True) is None


def test_the_request_queue_works(make: Maker, emulator: Emulator, queue_url: str, admin: Callable[[str], Any]) -> None:
    queue = RequestQueue(make("sqs", emulator.endpoint), queue_url)
    assert queue.is_empty()
    sent = Message("a", "sentiment", {"text": "ünï\u2028 \U0001f600" + "x" * 100_000}, 1, 9, 5)
    queue.send(sent, "m:0")
    assert not queue.is_empty()
    [received] = admin("sqs").receive_message(QueueUrl=queue_url)["Messages"]
    assert Message.from_body(received["Body"]) == sent
    assert queue.set_visibility({received["ReceiptHandle"]: 0, "no such handle": 0}) == ["no such handle"]
    assert admin("sqs").receive_message(QueueUrl=queue_url)["Messages"]


def test_errors_have_boto3s_names(make: Maker, emulator: Emulator) -> None:
    with pytest.raises(ClientError) as caught:
        make("dynamodb", emulator.endpoint).get_item(TableName="missing", Key=ITEM)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError) as caught:
        missing = f"{emulator.endpoint}/000000000000/nobody"
        make("sqs", emulator.endpoint).send_message(QueueUrl=missing, MessageBody="x")
    assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_credentials_of_a_role_are_taken_and_a_wrong_secret_is_not(
    make: Maker, emulator: Emulator, table: str, admin: Callable[[str], Any]
) -> None:
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    read = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
    iam, name = admin("iam"), f"reader-{make.kind}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_policy(anybody)))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=json.dumps(_policy(read)))
    keys = admin("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    environment = {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    client = make("dynamodb", emulator.endpoint, **environment)
    assert "Item" not in client.get_item(TableName=table, Key=ITEM)
    with pytest.raises(ClientError) as caught:
        client.put_item(TableName=table, Item=ITEM)
    assert caught.value.response["Error"]["Code"] in ("AccessDeniedException", "AccessDenied")

    wrong = make("dynamodb", emulator.endpoint, **environment | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    with pytest.raises(ClientError) as caught:
        wrong.get_item(TableName=table, Key=ITEM)
    assert caught.value.response["Error"]["Code"] in ("InvalidSignatureException", "SignatureDoesNotMatch")


def _policy(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}
