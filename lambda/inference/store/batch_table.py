"""The records of batches. They are in the request table, under keys that no request can have, and with none of the
attributes that its indexes are made of: no list and no sweep sees them. Only those with a webhook are in the index of
due webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from inference.batches.record import BatchRecord
from inference.batches.transitions import discard_if
from inference.conditions import Value
from inference.errors import Unavailable
from inference.store.expressions import condition_arguments, from_attribute, to_attribute, to_update_item
from inference.transitions import CREATE_IF, Update

KEY_PREFIX = "batch/"

_OWN_NAMES = {"caller": "batch_caller"}
"""Field -> attribute, where they differ: the index of callers has what has a `caller`."""

_DEFAULTS = BatchRecord._field_defaults
_FIELDS = {_OWN_NAMES.get(name, name): name for name in BatchRecord._fields}


class BatchTable:
    """Reads and writes the records of batches.

    Args:
        client: a DynamoDB client.
        name: the request table's name.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def create(self, batch: BatchRecord) -> BatchRecord | None:
        """Write a new batch. Returns None, or the batch that already has this id; one past its retention is replaced.

        Raises:
            Unavailable: DynamoDB did not confirm the write; the record may still have been written.
        """
        try:
            self._client.put_item(
                TableName=self._name,
                Item=_to_item(batch),
                **condition_arguments(CREATE_IF, {"now_seconds": batch.submitted_at // 1000}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except (ClientError, BotoCoreError) as error:
            if not _is_rejected(error):
                raise _unavailable("write the batch", error) from error
            existing = _rejected_item(error) or self.get(batch.batch_id, consistent=True)
            return None if existing == batch else existing
        return None

    def discard(self, batch: BatchRecord) -> bool:
        """Remove the batch of a submit that failed. False: another submit has taken it over, or it is confirmed.

        Raises:
            Unavailable: it could not be removed.
        """
        try:
            self._client.delete_item(
                TableName=self._name, Key=_key(batch.batch_id), **condition_arguments(*discard_if(batch))
            )
        except (ClientError, BotoCoreError) as error:
            if _is_rejected(error):
                return False
            raise _unavailable("discard the batch", error) from error
        return True

    def get(self, batch_id: str, consistent: bool = False) -> BatchRecord | None:
        """The batch; None: there is none.

        Raises:
            Unavailable: DynamoDB did not answer.
        """
        try:
            answer = self._client.get_item(TableName=self._name, Key=_key(batch_id), ConsistentRead=consistent)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable("read the batch", error) from error
        return _to_batch(answer["Item"]) if "Item" in answer else None

    def apply(self, update: Update) -> BatchRecord | None:
        """Apply an update. Returns the new record; None if the update's condition failed.

        Raises:
            Unavailable: DynamoDB did not confirm the write.
        """
        keyed = Update(update.transition, KEY_PREFIX + update.request_id, update.values)
        try:
            answer = self._client.update_item(**to_update_item(keyed, self._name))
        except (ClientError, BotoCoreError) as error:
            if _is_rejected(error):
                return None
            raise _unavailable("update the batch", error) from error
        return _to_batch(answer["Attributes"])


def batch_id_of_key(key: str) -> str | None:
    """The batch that a key of the request table is of; None: it is a request's."""
    return key.removeprefix(KEY_PREFIX) if key.startswith(KEY_PREFIX) else None


def _key(batch_id: str) -> dict[str, Any]:
    return {"request_id": {"S": KEY_PREFIX + batch_id}}


def _to_item(batch: BatchRecord) -> dict[str, Any]:
    values = {attribute: getattr(batch, name) for attribute, name in _FIELDS.items() if name != "batch_id"}
    item = _key(batch.batch_id) | {
        attribute: to_attribute(value)
        for attribute, value in values.items()
        if value is not None and value != _DEFAULTS.get(_FIELDS[attribute])
    }
    return item if batch.webhook_due is None else item | {"webhook_shard": {"S": batch.batch_id[0]}}


def _to_batch(item: Mapping[str, Any]) -> BatchRecord:
    values: dict[str, Value] = {name: from_attribute(value) for name, value in item.items()}
    known: dict[str, Any] = {_FIELDS[name]: value for name, value in values.items() if name in _FIELDS}
    return BatchRecord(batch_id=str(values["request_id"]).removeprefix(KEY_PREFIX), **known)


def _rejected_item(error: Exception) -> BatchRecord | None:
    item = error.response.get("Item") if isinstance(error, ClientError) else None
    return _to_batch(item) if item else None


def _is_rejected(error: Exception) -> bool:
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return code == "ConditionalCheckFailedException"


def _unavailable(what: str, error: Exception) -> Unavailable:
    return Unavailable(f"could not {what}: {error}")
