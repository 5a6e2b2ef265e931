"""What the adapter does with what a batch does not settle; everything else is in the contract (table_contract.py)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from inference import transitions
from inference.errors import Unavailable
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from tests.unit.fakes import NOW, Recorder
from tests.unit.samples import a_record

TIMED_OUT = ReadTimeoutError(endpoint_url="https://dynamodb")
UNREACHABLE = ConnectTimeoutError(endpoint_url="https://dynamodb")
ITEM = {
    "request_id": {"S": "a1"},
    "status": {"S": "succeeded"},
    "model": {"S": "echo"},
    "caller": {"S": "anonymous"},
    **{name: {"N": "1"} for name in ("submitted_at", "expires_at", "delete_at", "attempt_limit")},
}


def rejected(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "operation")


class Dynamo:
    """A client whose batch fails, and whose single updates do as they are told, in turn; then they succeed."""

    def __init__(self, batch: Exception | list[dict[str, Any]], *singles: Exception) -> None:
        self.batch = batch
        self.singles = list(singles)
        self.calls = 0

    def batch_execute_statement(self, **_: Any) -> dict[str, Any]:
        if isinstance(self.batch, Exception):
            raise self.batch
        return {"Responses": self.batch}

    def update_item(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        if self.singles:
            raise self.singles.pop(0)
        return {"Attributes": ITEM}


class Inserts:
    """A client whose batches answer as told; a single write has nothing to say."""

    def __init__(self, answer: Exception | list[str | None]) -> None:
        self.answer = answer
        self.written: list[str] = []

    def batch_execute_statement(self, Statements: list[Any]) -> dict[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Responses": [{"Error": {"Code": code}} if code else {} for code in self.answer]}

    def put_item(self, Item: Any, **_: Any) -> None:
        self.written.append(Item["request_id"]["S"])


@pytest.mark.parametrize(
    ("answer", "alone"),
    [
        ([None, None, None], []),
        ([None, "DuplicateItem", None], []),
        (["ThrottlingError", None, "InternalServerError"], ["a", "c"]),
        (rejected("AccessDeniedException"), ["a", "b", "c"]),
    ],
)
def test_records_that_a_batch_does_not_write_are_written_alone(answer: Any, alone: list[str]) -> None:
    client = Inserts(answer)
    RequestTable(client, "t").create_many([a_record(name) for name in "abc"])
    assert client.written == alone


def test_where_nobody_answers_new_records_are_not_written_one_by_one() -> None:
    client = Inserts(TIMED_OUT)
    with pytest.raises(Unavailable):
        RequestTable(client, "t").create_many([a_record(name) for name in "abc"])
    assert client.written == []


def apply(dynamo: Dynamo) -> list[type]:
    updates = [transitions.succeed(a_record(f"a{n}").request_id, 1, "{}", NOW) for n in range(4)]
    return [type(written) for written in RequestTable(dynamo, "t").apply(updates)]


@pytest.mark.parametrize("error", [TIMED_OUT, UNREACHABLE])
def test_where_nobody_answers_a_batch_the_requests_are_not_tried_one_by_one(error: BotoCoreError) -> None:
    """Ten of them would wait for two minutes, and their invocation be killed."""
    dynamo = Dynamo(error)
    assert apply(dynamo) == [Unavailable] * 4
    assert dynamo.calls == 0


def test_a_batch_that_is_rejected_is_tried_one_by_one() -> None:
    dynamo = Dynamo(rejected("ValidationException"), rejected("ThrottlingException"))
    assert apply(dynamo) == [Unavailable, Applied, Applied, Applied]
    assert dynamo.calls == 4


def test_a_rejected_batch_is_logged_once_in_an_invocation() -> None:
    """A role without the right to batches works on, singly: nothing else would show it."""
    log = Recorder()
    table = RequestTable(Dynamo(rejected("AccessDeniedException")), "t", batch=3, telemetry=log)
    updates = [transitions.succeed(f"a{n}", 1, "{}", NOW) for n in range(5)]
    for _ in range(2):  # as a worker does: the claims, then the outcomes
        assert [type(written) for written in table.apply(updates)] == [Applied] * 5
    line = {"level": "WARNING", "event": "batch_rejected", "code": "AccessDeniedException", "statements": 3}
    assert log.lines == [line]
    log.begin(invocation_id="the next")
    table.apply(updates)
    assert log.lines == [line] * 2


@pytest.mark.parametrize("batch", [TIMED_OUT, [{}] * 4])
def test_no_other_batch_is_logged_as_rejected(batch: Any) -> None:
    log = Recorder()
    RequestTable(Dynamo(batch), "t", telemetry=log).apply(
        [transitions.succeed(f"a{n}", 1, "{}", NOW) for n in range(4)]
    )
    assert log.lines == []


def test_one_by_one_ends_where_nobody_answers() -> None:
    throttled = {"Error": {"Code": "ThrottlingError"}}
    dynamo = Dynamo([throttled, {}, throttled, throttled], UNREACHABLE)
    assert apply(dynamo) == [Unavailable, Applied, Unavailable, Unavailable]
    assert dynamo.calls == 1


CONDITION_FAILED = {"Error": {"Code": "ConditionalCheckFailed"}}


def test_a_rejection_without_its_record_is_asked_again_alone() -> None:
    """A missing item is no missing record: the worker would delete the message of a request that is open."""
    leased = ClientError({"Error": {"Code": "ConditionalCheckFailedException"}, "Item": ITEM}, "UpdateItem")
    absent = rejected("ConditionalCheckFailedException")
    dynamo = Dynamo([CONDITION_FAILED, {}, CONDITION_FAILED, CONDITION_FAILED], leased, absent)
    written = RequestTable(dynamo, "t").apply([transitions.succeed(f"a{n}", 1, "{}", NOW) for n in range(4)])
    assert [type(one) for one in written] == [ConditionFailed, Applied, ConditionFailed, Applied]
    assert written[0].record is not None and written[0].record.status == "succeeded"  # type: ignore[union-attr]
    assert written[2] == ConditionFailed(None), (
        "UpdateItem always tells the record that rejected it: here there is none"
    )
    assert dynamo.calls == 3


def test_rejections_without_records_are_not_asked_again_where_nobody_answers() -> None:
    dynamo = Dynamo([CONDITION_FAILED, {}, CONDITION_FAILED, CONDITION_FAILED], UNREACHABLE)
    assert apply(dynamo) == [Unavailable, Applied, Unavailable, Unavailable]
    assert dynamo.calls == 1


class OneStatementAKey(Dynamo):
    """As AWS: two statements on one key reject the whole batch."""

    def batch_execute_statement(self, *, Statements: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        keys = [parameter["S"] for each in Statements for parameter in each["Parameters"] if parameter.get("S") == "a1"]
        if len(keys) > 1:
            raise rejected("ValidationException")
        return {"Responses": [{} for _ in Statements]}


def test_two_updates_of_one_record_are_applied_though_aws_rejects_their_batch() -> None:
    dynamo = OneStatementAKey([])
    table = RequestTable(dynamo, "t")
    updates = [transitions.succeed(name, 1, "{}", NOW) for name in ("a1", "b2", "a1")]
    assert [type(written) for written in table.apply(updates)] == [Applied] * 3
    assert dynamo.calls == 3
    assert [type(written) for written in table.apply(updates[:2])] == [Applied] * 2
    assert dynamo.calls == 3, "one statement a key: the batch is taken"
