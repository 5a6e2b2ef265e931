"""The fake table behind the real adapter, on a service whose batch rejections bring no record.

Whether DynamoDB returns `BatchStatementError.Item` is contested; whoever uses the table has to be right without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from inference.store.expressions import to_statement, to_update_item
from inference.store.request_table import Applied, ConditionFailed, RequestTable, WriteResult, _to_item
from inference.transitions import Update
from tests.unit.fake_table import FakeTable

NAME = "t"


class StrippedTable(FakeTable):
    """`FakeTable`, but `apply` is the adapter's own, over a client that strips `Error.Item`."""

    def apply(self, updates: Sequence[Update]) -> list[WriteResult]:
        return RequestTable(_Client(self, updates), NAME).apply(updates)

    def run(self, update: Update) -> WriteResult:
        """Apply one update in memory."""
        self.applying = update
        written: WriteResult = self._step("apply", lambda: self._apply(update))
        return written


class _Client:
    """Knows the updates by what the adapter makes of them, and so needs no parser."""

    def __init__(self, table: StrippedTable, updates: Sequence[Update]) -> None:
        self._table = table
        self._updates = updates

    def batch_execute_statement(self, *, Statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        self._table.calls.append("apply")
        plain = [update for update in self._updates if update.transition.in_batches]
        updates = [next(each for each in plain if to_statement(each, NAME) == statement) for statement in Statements]
        keys = {update.request_id for update in updates}
        assert len(keys) == len(updates), "two statements on one key: AWS rejects the whole batch"
        rejected = {"Error": {"Code": "ConditionalCheckFailed"}}
        return {
            "Responses": [
                rejected if isinstance(self._table.run(update), ConditionFailed) else {} for update in updates
            ]
        }

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        update = next(each for each in self._updates if to_update_item(each, NAME) == arguments)
        self._table.calls.append("apply")
        match self._table.run(update):
            case Applied(record=record) if record is not None:
                return {"Attributes": _to_item(record)}
            case ConditionFailed(record=record):
                item = {} if record is None else {"Item": _to_item(record)}
                code = {"Code": "ConditionalCheckFailedException", "Message": "no"}
                raise ClientError({"Error": code, **item}, "UpdateItem")
        raise AssertionError("the fake answers every update")
