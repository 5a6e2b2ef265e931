"""The index of requests by caller, newest first. It has keys and the model's name only, which never change: so each
request is written to it once, and a filter by status has to read the records.

It is eventually consistent: a request of the last second may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from inference.errors import Unavailable

CALLER_INDEX = "caller"


class Position(NamedTuple):
    """Of a request in its caller's list. It stays the same, whatever comes before it."""

    submitted_at: int
    request_id: str


class CallerIndex:
    """Reads the index.

    Args:
        client: a DynamoDB client.
        name: the table's name.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def page(
        self, caller: str, after: Position | None, most: int, model: str | None = None
    ) -> tuple[Sequence[Position], Position | None]:
        """The next requests of a caller, newest first.

        Args:
            after: where the last page ended; None: at the newest request.
            most: how many entries are looked at.
            model: only requests of this model are returned.

        Returns:
            The requests, and where the page ended; None: there are no more.

        Raises:
            Unavailable: DynamoDB did not answer.
        """
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": CALLER_INDEX,
            "KeyConditionExpression": "#caller = :caller",
            "ExpressionAttributeNames": {"#caller": "caller"},
            "ExpressionAttributeValues": {":caller": {"S": caller}},
            "ScanIndexForward": False,
            "Limit": most,
        }
        if model is not None:
            arguments["FilterExpression"] = "#model = :model"
            arguments["ExpressionAttributeNames"]["#model"] = "model"
            arguments["ExpressionAttributeValues"][":model"] = {"S": model}
        if after is not None:
            arguments["ExclusiveStartKey"] = {
                "caller": {"S": caller},
                "submitted_at": {"N": str(after.submitted_at)},
                "request_id": {"S": after.request_id},
            }
        try:
            answer = self._client.query(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not read the index of callers: {error}") from error
        last = answer.get("LastEvaluatedKey")
        return [_position(item) for item in answer["Items"]], _position(last) if last else None


def _position(item: dict[str, Any]) -> Position:
    return Position(int(item["submitted_at"]["N"]), item["request_id"]["S"])
