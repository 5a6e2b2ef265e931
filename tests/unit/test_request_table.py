"""What the adapter does when a batch fails as a whole; everything else is in the contract (table_contract.py)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from inference.errors import Unavailable
from inference.moves import Moves
from inference.request_table import Applied, RequestTable
from tests.unit.fakes import Clock
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


def refused(code: str) -> ClientError:
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


def apply(dynamo: Dynamo) -> list[type]:
    moves = Moves(Clock())
    updates = [moves.succeed(a_record(f"a{n}").request_id, 1, "{}") for n in range(4)]
    return [type(written) for written in RequestTable(dynamo, "t").apply(updates)]


@pytest.mark.parametrize("error", [TIMED_OUT, UNREACHABLE])
def test_where_nobody_answers_a_batch_the_requests_are_not_tried_one_by_one(error: BotoCoreError) -> None:
    """Ten of them would wait for two minutes, and their invocation be killed."""
    dynamo = Dynamo(error)
    assert apply(dynamo) == [Unavailable] * 4
    assert dynamo.calls == 0


def test_a_batch_that_is_refused_is_tried_one_by_one() -> None:
    dynamo = Dynamo(refused("ValidationException"), refused("ThrottlingException"))
    assert apply(dynamo) == [Unavailable, Applied, Applied, Applied]
    assert dynamo.calls == 4


def test_one_by_one_ends_where_nobody_answers() -> None:
    throttled = {"Error": {"Code": "ThrottlingError"}}
    dynamo = Dynamo([throttled, {}, throttled, throttled], UNREACHABLE)
    assert apply(dynamo) == [Unavailable, Applied, Unavailable, Unavailable]
    assert dynamo.calls == 1
