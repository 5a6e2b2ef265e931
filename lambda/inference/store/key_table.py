"""The table of API keys: their hashes, never a key.

The authorizer reads it, by `find`. The operators' commands do the rest; no function has the right to write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from inference.api_keys import ApiKey
from inference.errors import Unavailable


class KeyTable:
    """Reads and writes API keys.

    Args:
        client: a DynamoDB client.
        name: the table's name.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def find(self, digest: str) -> ApiKey | None:
        """The key with this hash. Consistent: API Gateway remembers what it is told, so that a key that is used right
        after it was made must not be unknown.

        Raises:
            Unavailable: DynamoDB did not answer.
        """
        try:
            answer = self._client.get_item(TableName=self._name, Key={"key_hash": {"S": digest}}, ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not read the API key: {error}") from error
        item = answer.get("Item")
        return _to_key(item) if item else None

    # For operators' tools

    def all(self) -> Iterator[ApiKey]:
        """All keys, those that are rejected too. A scan.

        Raises:
            Unavailable: DynamoDB did not answer.
        """
        try:
            for page in self._client.get_paginator("scan").paginate(TableName=self._name, ConsistentRead=True):
                yield from map(_to_key, page["Items"])
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not read the API keys: {error}") from error

    def create(self, key: ApiKey) -> None:
        """Write a new key.

        Raises:
            Unavailable: DynamoDB did not confirm the write.
        """
        item = {
            "key_hash": {"S": key.digest},
            "key_id": {"S": key.key_id},
            "name": {"S": key.name},
            "created_at": {"N": str(key.created_at)},
        }
        if key.expires_at is not None:
            item["expires_at"] = {"N": str(key.expires_at)}
        try:
            self._client.put_item(TableName=self._name, Item=item, ConditionExpression="attribute_not_exists(key_hash)")
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not write the API key: {error}") from error

    def disable(self, digest: str, now: int) -> None:
        """Let a key be rejected from now on; one that is disabled keeps its time.

        Raises:
            Unavailable: DynamoDB did not confirm the write, or there is no such key.
        """
        try:
            self._client.update_item(
                TableName=self._name,
                Key={"key_hash": {"S": digest}},
                UpdateExpression="SET disabled_at = if_not_exists(disabled_at, :now)",
                ConditionExpression="attribute_exists(key_hash)",
                ExpressionAttributeValues={":now": {"N": str(now)}},
            )
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not disable the API key: {error}") from error


def _to_key(item: dict[str, Any]) -> ApiKey:
    times = {name: int(item[name]["N"]) for name in ("expires_at", "disabled_at") if name in item}
    return ApiKey(item["key_hash"]["S"], item["key_id"]["S"], item["name"]["S"], int(item["created_at"]["N"]), **times)
