"""The request table: every write is conditional, so that late or duplicate writes change nothing.

A lease, over time (an attempt's right to write the outcome):

    claim            attempt 1 works          finish
      |------------------------------------------|            written: attempts = 1 and status = running
      |=================== lease =====================|
                                                      |-----  attempt 2 may take over from here on
    An attempt that lost its lease finds attempts = 2 later: its write is rejected and its result dropped.

Errors of DynamoDB are translated here: callers see records, `ConditionFailed`s and `Unavailable`, never a
`ClientError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from inference.conditions import Condition, Value
from inference.errors import Unavailable
from inference.requests import OPEN, Record, Status, followed_shard, open_shard
from inference.store.expressions import (
    condition_arguments,
    from_attribute,
    to_attribute,
    to_insert,
    to_statement,
    to_update_item,
)
from inference.telemetry import Telemetry
from inference.transitions import Update, create_if, discard_if, erase_if

OPEN_INDEX = "open"
WEBHOOK_INDEX = "webhooks"
SHARDS = "0123456789abcdef"
"""Each index has sixteen partition keys, the id's first character, so that no partition gets too many writes."""

BATCH_STATEMENTS = 25
"""DynamoDB's limit on the statements of one BatchExecuteStatement."""

GET_KEYS = 100
"""DynamoDB's limit on the keys of one BatchGetItem."""

LOOKS = 10
"""How many requests are read for one that is not final, on average at most."""

_SWEPT_KEY = {"request_id": {"S": "sweep/swept_until"}}
"""Of the item that has, for each shard, how far sweeps have come. No request's id has a slash."""

_RECORD_FIELDS = frozenset(Record._fields)
_WITHOUT_INPUTS = {f"#{name}": name for name in sorted(_RECORD_FIELDS - {"input"})}
_WITHOUT_PAYLOADS = {f"#{name}": name for name in sorted(_RECORD_FIELDS - {"input", "result"})}


class ConditionFailed(NamedTuple):
    """A conditional write that did not apply; `record` is the current record, or None if there is none."""

    record: Record | None


class Applied(NamedTuple):
    """A conditional write that applied; `record` is the new record where the call returned it (batches do not)."""

    record: Record | None = None


WriteResult = Applied | ConditionFailed | Unavailable
"""What became of one write: applied, rejected by its condition, or the error that kept it from happening."""


class RequestTable:
    """Reads and writes request records.

    Args:
        client: a DynamoDB client (boto3, or anything with its operations).
        name: the table's name.
        batch: statements in one call; 1 turns batching off.
        telemetry: logs a rejected batch; None: not logged.
    """

    def __init__(
        self, client: Any, name: str, batch: int = BATCH_STATEMENTS, telemetry: Telemetry | None = None
    ) -> None:
        self._client = client
        self._name = name
        self._batch = batch
        self._telemetry = telemetry

    # Submit

    def create(self, record: Record, lost: Record | None = None) -> Record | None:
        """Write a new record. Returns None, or the record that already has this id.

        A record past its retention is replaced: DynamoDB's TTL deletes late. So is `lost`, a record whose request ended
        before its submit was accepted, if nothing has happened to it since it was read. If the table has exactly this
        record, the client's first attempt succeeded and only its response was lost.

        Raises:
            Unavailable: DynamoDB did not confirm the write; the record may still have been written.
        """
        item = _to_new_item(record)
        try:
            self._client.put_item(
                TableName=self._name,
                Item=item,
                **condition_arguments(*create_if(record, lost)),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise _unavailable("write the record", error) from error
            item = error.response.get("Item")
            existing = _to_record(item) if item else self.get(record.request_id, consistent=True)
            return None if existing == record else existing
        except BotoCoreError as error:
            raise _unavailable("write the record", error) from error
        return None

    def create_many(self, records: Sequence[Record]) -> None:
        """Write new records whose ids nobody else can have: what is there already is the same request, of an earlier
        try.

        Raises:
            Unavailable: DynamoDB did not confirm each write; some records may be written.
        """
        for start in range(0, len(records), self._batch):
            chunk = records[start : start + self._batch]
            for record, written in zip(chunk, self._insert(chunk), strict=True):
                if not written:
                    self.create(record)

    def _insert(self, records: Sequence[Record]) -> list[bool]:
        """Whether each record is there now; False: nothing is known."""
        if len(records) == 1:
            return [False]
        statements = [to_insert(_to_new_item(record), self._name) for record in records]
        try:
            responses = self._client.batch_execute_statement(Statements=statements)["Responses"]
        except ClientError as error:
            self._batch_rejected(error, len(statements))
            return [False] * len(records)
        except BotoCoreError as error:
            raise _unavailable("write the records", error) from error
        return [response.get("Error", {}).get("Code") in (None, "DuplicateItem") for response in responses]

    def discard(self, record: Record) -> bool:
        """Remove the record of a submit that SQS rejected. False if it belongs to others too: a worker has claimed it,
        so SQS did accept the message, or a later submit with the same key has taken it over.

        Raises:
            Unavailable: it could not be removed; the sweeper will end it.
        """
        return self._delete("discard", record, discard_if(record))

    def erase(self, record: Record) -> bool:
        """Remove the record of a final request. False if it is not final any more, or not there.

        Raises:
            Unavailable: it could not be removed.
        """
        return self._delete("erase", record, erase_if(record))

    def _delete(self, what: str, record: Record, only_if: tuple[Condition, Mapping[str, Value]]) -> bool:
        try:
            self._client.delete_item(
                TableName=self._name,
                Key={"request_id": {"S": record.request_id}},
                **condition_arguments(*only_if),
            )
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise _unavailable(f"{what} the record", error) from error
        except BotoCoreError as error:
            raise _unavailable(f"{what} the record", error) from error
        return True

    # Read

    def get(self, request_id: str, consistent: bool = False) -> Record | None:
        """Read a record. An eventually consistent read costs half, and may miss a write of the last second."""
        try:
            answer = self._client.get_item(
                TableName=self._name, Key={"request_id": {"S": request_id}}, ConsistentRead=consistent
            )
        except (ClientError, BotoCoreError) as error:
            raise _unavailable("read the record", error) from error
        item = answer.get("Item")
        return _to_record(item) if item else None

    def find(self, request_id: str) -> Record | None:
        """Read with eventual consistency, and if nothing is found, consistently: a read right after the submit must
        succeed."""
        return self.get(request_id) or self.get(request_id, consistent=True)

    def due_webhook_keys(self, due_before: int, first_shard: int = 0) -> Iterator[str]:
        """The keys of the requests and batches whose webhook was due before a time (epoch ms), oldest first in each
        shard.

        `first_shard` (0 to 15) is where to start: a caller that may not reach the end starts elsewhere each time.
        """
        for shard in SHARDS[first_shard:] + SHARDS[:first_shard]:
            condition = "webhook_shard = :shard AND webhook_due < :before"
            for item in self._entries(WEBHOOK_INDEX, condition, {":shard": shard, ":before": due_before}):
                yield item["request_id"]["S"]

    def submitted(self, shard: str, after: int, before: int) -> Iterator[tuple[str, int]]:
        """Id and time of the requests of a shard that were submitted between two times (epoch ms, both excluded), in
        the order of the times. Most are final. Not those that are followed."""
        condition = "open_shard = :shard AND submitted_at BETWEEN :first AND :last"
        values: dict[str, Value] = {":shard": shard, ":first": after + 1, ":last": before - 1}
        if after + 1 <= before - 1:  # else DynamoDB rejects it
            for item in self._entries(OPEN_INDEX, condition, values):
                yield item["request_id"]["S"], int(item["submitted_at"]["N"])

    def followed(self, shard: str) -> Iterator[str]:
        """The requests of a shard that every sweep looks at, oldest first."""
        for item in self._entries(OPEN_INDEX, "open_shard = :shard", {":shard": followed_shard(shard)}):
            yield item["request_id"]["S"]

    def _entries(self, index: str, condition: str, values: Mapping[str, Value]) -> Iterator[dict[str, Any]]:
        arguments = {
            "TableName": self._name,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {name: to_attribute(value) for name, value in values.items()},
        }
        try:
            for page in self._client.get_paginator("query").paginate(**arguments):
                yield from page["Items"]
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(f"read the index {index}", error) from error

    def swept_until(self) -> dict[str, int]:
        """Shard -> the submit time (epoch ms) up to which sweeps have passed it; a shard that none has is not in it."""
        try:
            answer = self._client.get_item(TableName=self._name, Key=_SWEPT_KEY, ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable("read how far sweeps have come", error) from error
        return {shard: int(value["N"]) for shard, value in answer.get("Item", {}).items() if shard in SHARDS}

    def save_swept_until(self, shard: str, until: int) -> None:
        """Keep how far a sweep has passed a shard. Where another sweep has come further, that stays."""
        try:
            self._client.update_item(
                TableName=self._name,
                Key=_SWEPT_KEY,
                UpdateExpression="SET #shard = :until",
                ConditionExpression="attribute_not_exists(#shard) OR #shard < :until",
                ExpressionAttributeNames={"#shard": shard},
                ExpressionAttributeValues={":until": to_attribute(until)},
            )
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise _unavailable("keep how far the sweep has come", error) from error
        except BotoCoreError as error:
            raise _unavailable("keep how far the sweep has come", error) from error

    def failed_with_input(self) -> Iterator[Record]:
        """The failed requests whose input was kept. A scan: for operators' tools, not for functions."""
        try:
            for page in self._client.get_paginator("scan").paginate(
                TableName=self._name,
                FilterExpression="#status = :failed AND attribute_exists(#input)",
                ExpressionAttributeNames={"#status": "status", "#input": "input"},
                ExpressionAttributeValues={":failed": {"S": Status.FAILED}},
            ):
                yield from map(_to_record, page["Items"])
        except (ClientError, BotoCoreError) as error:
            raise _unavailable("scan the table", error) from error

    # Reads of many, without inputs

    def get_many(
        self, request_ids: Sequence[str], with_results: bool = False, consistent: bool = False
    ) -> Iterator[Record]:
        """The records of these requests, in any order; none for an unknown one. Eventually consistent by default.

        Raises:
            Unavailable: DynamoDB did not answer, or throttles the table.
        """
        for at in range(0, len(request_ids), GET_KEYS):
            names = _WITHOUT_INPUTS if with_results else _WITHOUT_PAYLOADS
            yield from self._get(request_ids[at : at + GET_KEYS], names, consistent)

    def open_records(self, submitted_before: int, most: int) -> tuple[list[Record], bool]:
        """At most this many requests that are not final, and whether these are all. For operators' tools: all requests
        since the last sweep's grace time are read, `LOOKS` times as many as are wanted at most."""
        found: list[Record] = []
        candidates = self._maybe_open(submitted_before)
        for _ in range(0, most * LOOKS, GET_KEYS):
            ids = list(islice(candidates, GET_KEYS))
            if not ids:
                return found[:most], len(found) <= most
            records = self.get_many(ids)
            found += [r for r in records if r.status in OPEN and r.submitted_at < submitted_before]
            if len(found) > most:
                break
        return found[:most], len(found) <= most and next(candidates, None) is None

    def _maybe_open(self, submitted_before: int) -> Iterator[str]:
        """All requests that are not final and were submitted before a time, among others."""
        swept = self.swept_until()
        for shard in SHARDS:
            yield from self.followed(shard)
        for shard in SHARDS:
            for request_id, _ in self.submitted(shard, swept.get(shard, 0), submitted_before):
                yield request_id

    def _get(self, request_ids: Sequence[str], names: Mapping[str, str], consistent: bool) -> Iterator[Record]:
        projection = {
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
            "ConsistentRead": consistent,
        }
        keys = [{"request_id": {"S": request_id}} for request_id in request_ids]
        while keys:
            try:
                answer = self._client.batch_get_item(RequestItems={self._name: {"Keys": keys, **projection}})
            except (ClientError, BotoCoreError) as error:
                raise _unavailable("read the records", error) from error
            yield from map(_to_record, answer["Responses"].get(self._name, ()))
            left = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if len(left) == len(keys):
                raise Unavailable("could not read the records: DynamoDB is throttling the table; try again")
            keys = left

    def failed_since(self, finished_after: int, pages: int) -> tuple[list[Record], bool]:
        """The requests that failed after a time (epoch ms), in at most this many pages of the table, and whether these
        are all. Reading a page, 1 MB of records, costs 128 read units. For operators' tools."""
        found: list[Record] = []
        complete = False
        scan = self._client.get_paginator("scan").paginate(
            TableName=self._name,
            FilterExpression="#status = :failed AND #finished_at > :after",
            ProjectionExpression=", ".join(_WITHOUT_PAYLOADS),
            ExpressionAttributeNames=_WITHOUT_PAYLOADS,
            ExpressionAttributeValues={":failed": {"S": Status.FAILED}, ":after": to_attribute(finished_after)},
        )
        try:
            for page in islice(scan, pages):
                found += map(_to_record, page["Items"])
                complete = "LastEvaluatedKey" not in page
        except (ClientError, BotoCoreError) as error:
            raise _unavailable("scan the table", error) from error
        return found, complete

    # Updates

    def apply(self, updates: Sequence[Update]) -> list[WriteResult]:
        """Apply updates, each with its own condition, in as few calls as possible; results in the order of the updates.

        A failed statement is repeated alone, with the client's retries, as long as DynamoDB answers; only a failed
        condition whose record is returned is final. The API reference says that batches return it, measurements on the
        service say that they do not: so a missing one says nothing about the record.
        """
        together = [index for index, update in enumerate(updates) if update.transition.in_batches]
        results: dict[int, WriteResult] = {}
        if len(together) > 1 and self._batch > 1:
            for start in range(0, len(together), self._batch):
                chunk = together[start : start + self._batch]
                results.update(zip(chunk, self._apply_batch([updates[index] for index in chunk]), strict=True))
        return [results[index] if index in results else self._apply(update) for index, update in enumerate(updates)]

    def _apply(self, update: Update) -> WriteResult:
        try:
            answer = self._client.update_item(**to_update_item(update, self._name))
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                item = error.response.get("Item")
                return ConditionFailed(_to_record(item) if item else None)
            return _unavailable("update the record", error)
        except BotoCoreError as error:
            return _unavailable("update the record", error)
        return Applied(_to_record(answer["Attributes"]))

    def _apply_batch(self, updates: Sequence[Update]) -> list[WriteResult]:
        statements = [to_statement(update, self._name) for update in updates]
        try:
            responses = self._client.batch_execute_statement(Statements=statements)["Responses"]
        except ClientError as error:
            self._batch_rejected(error, len(statements))
            responses = [{"Error": {"Code": "BatchRejected"}} for _ in updates]
        except BotoCoreError as error:
            return [_unavailable("update the records", error) for _ in updates]
        results: list[WriteResult] = []
        no_answer: Unavailable | None = None
        for update, response in zip(updates, responses, strict=True):
            rejected = response.get("Error")
            if rejected is None:
                written: WriteResult = Applied()
            elif rejected["Code"] == "ConditionalCheckFailed" and rejected.get("Item"):
                written = ConditionFailed(_to_record(rejected["Item"]))
            else:
                # Waiting for each one, a dozen seconds or more, would take longer than the invocation has.
                written = no_answer or self._apply(update)
                if isinstance(written, Unavailable) and isinstance(written.__cause__, BotoCoreError):
                    no_answer = written
            results.append(written)
        return results

    def _batch_rejected(self, error: ClientError, statements: int) -> None:
        """The writes are made one by one instead, which costs much more. This log line shows it, for example for a
        missing permission."""
        if self._telemetry is not None:
            self._telemetry.warning_once("batch_rejected", code=_code(error), statements=statements)


def _to_item(record: Record) -> dict[str, Any]:
    return {
        name: to_attribute(value)
        for name in _RECORD_FIELDS
        if (value := getattr(record, name)) is not None and value is not False
    }


def _to_new_item(record: Record) -> dict[str, Any]:
    item = _to_item(record) | {"open_shard": {"S": open_shard(record)}}
    return item if record.webhook_due is None else item | {"webhook_shard": {"S": record.request_id[0]}}


def _to_record(item: Mapping[str, Any]) -> Record:
    known: dict[str, Any] = {name: from_attribute(value) for name, value in item.items() if name in _RECORD_FIELDS}
    known["status"] = Status(known["status"])
    return Record(**known)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _unavailable(what: str, error: Exception) -> Unavailable:
    unavailable = Unavailable(f"could not {what}: {error}")
    unavailable.__cause__ = error
    return unavailable
