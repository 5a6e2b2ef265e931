"""What SQS hands a worker: records, read one by one so that an unreadable one hurts only itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.requests import Message


@dataclass(frozen=True)
class Delivery:
    """A message as it was received this time."""

    message_id: str
    receipt_handle: str
    receive_count: int
    message: Message


@dataclass(frozen=True)
class Unreadable:
    """A record whose body is no message of ours; SQS moves it to the dead-letter queue after its receives."""

    message_id: str
    receipt_handle: str
    body: str
    reason: str


def read_records(records: Sequence[Mapping[str, Any]]) -> tuple[list[Delivery], list[Unreadable]]:
    """Read the records of an SQS event."""
    deliveries: list[Delivery] = []
    unreadable: list[Unreadable] = []
    for record in records:
        ids = (record["messageId"], record["receiptHandle"])
        try:
            message = Message.from_body(record["body"])
        except (ValueError, RecursionError) as error:
            unreadable.append(Unreadable(*ids, record["body"], str(error)))
        else:
            count = int(record["attributes"]["ApproximateReceiveCount"])
            deliveries.append(Delivery(*ids, count, message))
    return deliveries, unreadable
