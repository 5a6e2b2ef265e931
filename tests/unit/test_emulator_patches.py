"""Each patch changes what MiniStack does: without it, its test fails; when MiniStack does it by itself, it can go."""

from __future__ import annotations

import json
from typing import Any

import pytest

iam_actions = pytest.importorskip("ministack.core.iam_actions")
cloudwatch = pytest.importorskip("ministack.services.cloudwatch")
apigateway = pytest.importorskip("ministack.services.apigateway")
dynamodb = pytest.importorskip("ministack.services.dynamodb")

from scripts.local import emulator_patches  # noqa: E402


@pytest.fixture(autouse=True)
def unpatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test patches is as before after it."""
    patched = (
        (iam_actions, "dynamodb_transaction_checks"),
        (iam_actions, "extract_iam_action"),
        (cloudwatch, "_describe_alarms"),
        (apigateway, "_create_authorizer"),
        (dynamodb, "_partiql_update"),
    )
    for module, name in patched:
        monkeypatch.setattr(module, name, getattr(module, name))


def body(*statements: str) -> bytes:
    return json.dumps({"Statements": [{"Statement": text} for text in statements]}).encode()


def checks(action: str, content: bytes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = iam_actions.dynamodb_transaction_checks(action, content, "eu-west-1", "123")
    return found


def test_partiql_batches_are_authorised_by_statement() -> None:
    batch = body('UPDATE "one" SET "a" = ? WHERE "k" = ?', 'UPDATE "two" SET "a" = ? WHERE "k" = ?')
    assert checks("dynamodb:BatchExecuteStatement", batch) == [], "MiniStack does it by itself: remove the patch"
    emulator_patches.patch()
    table = "arn:aws:dynamodb:eu-west-1:123:table/"
    assert checks("dynamodb:BatchExecuteStatement", batch) == [
        ("dynamodb:PartiQLUpdate", f"{table}one"),
        ("dynamodb:PartiQLUpdate", f"{table}two"),
    ]
    insert = body("INSERT INTO \"one\" VALUE {'k': ?}")
    assert checks("dynamodb:BatchExecuteStatement", insert) == [("dynamodb:PartiQLInsert", f"{table}one")]
    assert checks("dynamodb:BatchExecuteStatement", body('SELECT * FROM "one"')) == []
    item = json.dumps({"TransactItems": [{"Put": {"TableName": "one"}}]}).encode()
    assert checks("dynamodb:TransactWriteItems", item) == [("dynamodb:PutItem", f"{table}one")]


def test_batches_of_messages_are_authorised_as_single_calls() -> None:
    def action(operation: str, service: str = "sqs") -> str | None:
        target = {"x-amz-target": f"AmazonSQS.{operation}"}
        found: str | None = iam_actions.extract_iam_action(service, "POST", "/", target, b"{}", {})
        return found

    assert action("SendMessageBatch") == "sqs:SendMessageBatch", "MiniStack does it by itself: remove the patch"
    emulator_patches.patch()
    assert action("SendMessageBatch") == action("SendMessage") == "sqs:SendMessage"
    assert action("ChangeMessageVisibilityBatch") == "sqs:ChangeMessageVisibility"
    assert action("DescribeTable", "unknown") is None


def test_updates_by_partiql_are_in_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[tuple[str, str, str, str]] = []

    def emit(table: str, event: str, old: dict[str, Any], new: dict[str, Any], *_: Any) -> None:
        records.append((table, event, old["a"]["S"], new["a"]["S"]))

    monkeypatch.setattr(dynamodb, "_tables", type(dynamodb._tables)())
    key = {"AttributeName": "k", "AttributeType": "S"}
    schema = {"AttributeName": "k", "KeyType": "HASH"}
    dynamodb._create_table(
        {"TableName": "things", "AttributeDefinitions": [key], "KeySchema": [schema], "BillingMode": "PAY_PER_REQUEST"}
    )
    dynamodb._put_item({"TableName": "things", "Item": {"k": {"S": "1"}, "a": {"S": "old"}}})
    monkeypatch.setattr(dynamodb, "_emit_stream_event", emit)

    def update(to: str, where: str) -> None:
        statement = 'UPDATE "things" SET "a" = ? WHERE "k" = ? AND "a" = ?'
        parameters = [{"S": value} for value in (to, "1", where)]
        dynamodb._batch_execute_statement({"Statements": [{"Statement": statement, "Parameters": parameters}]})

    def value() -> str:
        item: dict[str, Any] = json.loads(dynamodb._get_item({"TableName": "things", "Key": {"k": {"S": "1"}}})[2])
        return str(item["Item"]["a"]["S"])

    update("new", "old")
    assert value() == "new"
    assert records == [], "MiniStack does it by itself: remove the patch"
    emulator_patches.patch()
    update("newer", "new")
    update("newest", "another")
    assert value() == "newer"
    assert records == [("things", "MODIFY", "new", "newer")], "and none for an update whose condition fails"


ALARM = {
    "AlarmName": "duration",
    "Namespace": "AWS/Lambda",
    "MetricName": "Duration",
    "ExtendedStatistic": "p99",
    "Period": 300,
    "EvaluationPeriods": 3,
    "Threshold": 48000,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:alarms"],
    "Dimensions": [{"Name": "FunctionName", "Value": "a&b"}],
}


def described() -> str:
    status, _, content = cloudwatch._describe_alarms({"AlarmNames.member.1": "duration"}, {}, False, False)
    assert status == 200
    text: str = content.decode()
    return text


def test_alarms_are_described_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudwatch, "_alarms", type(cloudwatch._alarms)())
    cloudwatch._put_metric_alarm({}, ALARM, False, True)
    cloudwatch._put_metric_alarm({}, ALARM | {"AlarmName": "another"}, False, True)
    whole = "<ExtendedStatistic>p99</ExtendedStatistic>"
    assert whole not in described(), "MiniStack does it by itself: remove the patch"
    emulator_patches.patch()
    text = described()
    assert whole in text
    assert "<Dimensions><member><Name>FunctionName</Name><Value>a&amp;b</Value></member></Dimensions>" in text
    assert "<AlarmActions><member>arn:aws:sns:us-east-1:000000000000:alarms</member></AlarmActions>" in text
    assert "<Statistic>" not in text, "AWS has one of the two"
    assert "another" not in text


@pytest.mark.parametrize(
    ("made", "foreign"),
    [
        ({"authorizerType": "REQUEST", "authorizerPayloadFormatVersion": "2.0"}, "jwtConfiguration"),
        ({"authorizerType": "JWT", "jwtConfiguration": {"issuer": "i"}}, "authorizerPayloadFormatVersion"),
    ],
    ids=["function", "JWT"],
)
def test_authorizers_are_described_as_made(monkeypatch: pytest.MonkeyPatch, made: Any, foreign: str) -> None:
    for store in ("_apis", "_authorizers"):
        monkeypatch.setattr(apigateway, store, type(getattr(apigateway, store))())
    apigateway._apis["api"] = {"apiId": "api", "protocolType": "HTTP"}

    def described() -> Any:
        status, _, content = apigateway._create_authorizer("api", made)
        assert status == 201
        status, _, content = apigateway._get_authorizer("api", json.loads(content)["authorizerId"])
        assert status == 200
        return json.loads(content)

    assert foreign in described(), "MiniStack does it by itself: remove the patch"
    emulator_patches.patch()
    found = described()
    assert foreign not in found
    assert found.items() >= made.items()
