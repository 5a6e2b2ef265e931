"""Reading the records of an SQS event, one by one, so that an unreadable one does not affect the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.requests import Message
from worker.verdicts import Retry, RetryReason, Verdict, Verdicts

_LOGGED_CHARACTERS = 500


@dataclass(frozen=True)
class Delivery:
    """A message as it was received this time; `sent_at`: when SQS took it, in epoch milliseconds."""

    receipt_handle: str
    receive_count: int
    sent_at: int
    message: Message


def read_records(records: Sequence[Mapping[str, Any]]) -> tuple[list[Delivery], Verdicts]:
    """Read the records of an SQS event.

    A record whose body is not a valid message is retried at once, until SQS moves it to the dead-letter queue.
    """
    deliveries: list[Delivery] = []
    unreadable: list[tuple[str, Verdict]] = []
    for record in records:
        handle = record["receiptHandle"]
        try:
            message = Message.from_body(record["body"])
        except (ValueError, RecursionError) as error:
            details = {"reason": str(error), "body": record["body"][:_LOGGED_CHARACTERS]}
            unreadable.append((handle, Retry(RetryReason.UNREADABLE, 0, details)))
        else:
            attributes = record["attributes"]
            count, sent_at = int(attributes["ApproximateReceiveCount"]), int(attributes["SentTimestamp"])
            deliveries.append(Delivery(handle, count, sent_at, message))
    return deliveries, unreadable


def without_duplicates(deliveries: Sequence[Delivery], seconds: int) -> tuple[list[Delivery], Verdicts]:
    """The first delivery of each request. Another one in the same batch is retried after this many seconds."""
    firsts: dict[str, Delivery] = {}
    repeated: list[tuple[str, Verdict]] = []
    for delivery in deliveries:
        request_id = delivery.message.request_id
        if firsts.setdefault(request_id, delivery) is not delivery:
            verdict = Retry(RetryReason.DUPLICATE, seconds, {"request_id": request_id})
            repeated.append((delivery.receipt_handle, verdict))
    return list(firsts.values()), repeated
