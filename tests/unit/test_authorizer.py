"""The authorizer: which keys it accepts, what it says of them, and what it never says, sends or logs."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from inference.api_keys import ApiKey, digest_of, is_key, is_name, new_key, new_key_id
from inference.aws import clients
from inference.errors import Unavailable
from inference.http.messages import read_event
from tests.unit.fakes import NOW

KEY = new_key()
KNOWN: Mapping[str, Any] = {"key_hash": {"S": digest_of(KEY)}, "key_id": {"S": "1a2b3c4d"}, "name": {"S": "web"}}


class Dynamodb:
    """A table with at most one key; it keeps what it is asked."""

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = {**KNOWN, "created_at": {"N": str(NOW - 1000)}}
        self.asked: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        if self.error:
            raise self.error
        found = self.item and self.item["key_hash"] == arguments["Key"]["key_hash"]
        return {"Item": self.item} if found else {}


@pytest.fixture
def dynamodb() -> Dynamodb:
    return Dynamodb()


@pytest.fixture
def authorizer(monkeypatch: pytest.MonkeyPatch, dynamodb: Dynamodb) -> ModuleType:
    """The function, as it starts."""
    for name, value in {"KEY_TABLE": "keys", "LOG_LEVEL": "INFO"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clients, "lean_client", lambda service, deadline: dynamodb)
    monkeypatch.delitem(sys.modules, "authorizer", raising=False)
    module = importlib.import_module("authorizer")
    monkeypatch.setattr(module, "now_ms", lambda: NOW)
    return module


def ask(authorizer: ModuleType, key: str = KEY) -> Any:
    """One question of API Gateway's, in payload format 2.0."""
    event = {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-west-1:123456789012:abc/$default/POST/predict",
        "identitySource": [key],
        "routeKey": "POST /predict",
        "headers": {"x-api-key": key, "content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/predict", "sourceIp": "203.0.113.1"}},
    }
    context = SimpleNamespace(aws_request_id="i1", get_remaining_time_in_millis=lambda: 9_000)
    return authorizer.handler(event, context)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_key_is_accepted_with_the_name_of_its_caller(authorizer: ModuleType, dynamodb: Dynamodb) -> None:
    assert ask(authorizer) == {"isAuthorized": True, "context": {"key_name": "web"}}
    key = {"key_hash": {"S": digest_of(KEY)}}
    assert dynamodb.asked == [{"TableName": "keys", "Key": key, "ConsistentRead": True}]


def test_what_it_answers_is_the_caller_of_the_request(authorizer: ModuleType) -> None:
    answer = ask(authorizer)
    event = {"requestContext": {"authorizer": {"lambda": answer["context"]}}}
    assert read_event(event).caller == "key:web"
    assert read_event(event, by_session=True).caller == "key:web"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW - 1}, "expired"),
        ({"disabled_at": NOW - 1}, "disabled"),
        ({"disabled_at": NOW + 1}, "disabled"),  # by another machine's clock; the mark counts, not its time
        ({"expires_at": NOW + 1, "disabled_at": NOW - 1}, "disabled"),
    ],
)
def test_a_key_of_the_past_is_rejected(
    authorizer: ModuleType,
    dynamodb: Dynamodb,
    capsys: pytest.CaptureFixture[str],
    more: Mapping[str, int],
    reason: str,
) -> None:
    assert dynamodb.item is not None
    dynamodb.item |= {name: {"N": str(time)} for name, time in more.items()}
    assert ask(authorizer) == {"isAuthorized": False}
    (line,) = lines(capsys)
    assert (line["event"], line["reason"]) == ("key_rejected", reason)
    assert (line["key_name"], line["key_id"]) == ("web", "1a2b3c4d")


def test_a_key_is_accepted_until_it_expires(authorizer: ModuleType, dynamodb: Dynamodb) -> None:
    assert dynamodb.item is not None
    dynamodb.item["expires_at"] = {"N": str(NOW + 1)}
    assert ask(authorizer)["isAuthorized"] is True


def test_an_unknown_key_is_rejected_with_the_same_answer(
    authorizer: ModuleType, dynamodb: Dynamodb, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(authorizer, new_key()) == {"isAuthorized": False}
    (line,) = lines(capsys)
    assert line["reason"] == "unknown"
    assert len(dynamodb.asked) == 1


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            KEY[:-1],
            KEY + "A",
            f" {KEY}",
            f"{KEY}\n",
            f"{KEY},{KEY}",
            f"Bearer {KEY}",
            KEY.removeprefix("aik_"),
        ),
        *(KEY.upper(), "aik_" + "ä" * 43, "aik_" + "\x00" * 43, "aik_" + "\ud800" * 43, digest_of(KEY), "a" * 100_000),
    ],
    ids=range(15),
)
def test_what_can_be_no_key_is_rejected_without_a_read(
    authorizer: ModuleType, dynamodb: Dynamodb, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert ask(authorizer, text) == {"isAuthorized": False}
    assert dynamodb.asked == []
    assert [line["reason"] for line in lines(capsys)] == ["malformed"]


def test_the_hash_of_a_key_does_not_authorize(authorizer: ModuleType, dynamodb: Dynamodb) -> None:
    """Who reads the table can't call: what it has is hashed again."""
    stolen = "aik_" + digest_of(KEY)[:43]
    assert is_key(stolen)
    assert ask(authorizer, stolen) == {"isAuthorized": False}


def test_without_an_answer_of_dynamodb_it_fails_and_accepts_nobody(
    authorizer: ModuleType, dynamodb: Dynamodb, capsys: pytest.CaptureFixture[str]
) -> None:
    """API Gateway then answers 500, and asks again the next time; a rejection it would remember."""
    dynamodb.error = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "GetItem")
    with pytest.raises(Unavailable):
        ask(authorizer)
    assert [line["event"] for line in lines(capsys)] == ["service_unavailable"]


@pytest.mark.parametrize(
    "event", [{}, {"identitySource": None}, {"identitySource": []}, {"identitySource": [KEY, KEY]}]
)
def test_another_event_authorizes_nobody(authorizer: ModuleType, event: dict[str, Any]) -> None:
    context = SimpleNamespace(aws_request_id="i1", get_remaining_time_in_millis=lambda: 9_000)
    with pytest.raises((KeyError, TypeError, ValueError)):
        authorizer.handler(event, context)


def test_neither_the_key_nor_its_hash_is_logged_or_sent(
    authorizer: ModuleType, dynamodb: Dynamodb, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dynamodb.item is not None
    other = new_key()
    raised = []
    for key, changes in ((KEY, {}), (other, {}), (KEY + "x", {}), (KEY, {"disabled_at": {"N": "1"}})):
        dynamodb.item |= changes
        ask(authorizer, key)
    dynamodb.error = ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "GetItem")
    with pytest.raises(Unavailable) as failed:
        ask(authorizer)
    raised.append(str(failed.value))
    shown = capsys.readouterr()
    written = shown.out + shown.err + "".join(raised)
    assert "key_rejected" in written
    assert "service_unavailable" in written
    for secret in (KEY, other, digest_of(KEY), digest_of(other)):
        assert secret[4:20] not in written
    assert KEY not in json.dumps(dynamodb.asked), "DynamoDB learns the hash alone"


# What a key is


def test_a_new_key_has_256_random_bits() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(is_key(key) and len(key) == len("aik_") + 43 for key in keys)  # 43 * 6 bits >= 256


def test_an_id_says_nothing_of_its_key() -> None:
    assert new_key_id() != new_key_id()
    assert ApiKey(digest_of(KEY), new_key_id(), "web", NOW).key_id not in digest_of(KEY)


def test_what_is_kept_is_the_sha_256() -> None:
    assert digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["a", "Web-App_2.test", "alice@example.com", "7" * 64])
def test_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a:b", "ä", "a/b", "a\n", "7" * 65])
def test_what_can_be_no_name(name: str) -> None:
    assert not is_name(name)
