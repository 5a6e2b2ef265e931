"""Request queues: sending messages and setting their visibility.

Errors of SQS are translated here: callers see `Unavailable`, never a `ClientError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from inference.errors import QueueMissing, Unavailable
from inference.requests import Message

MAX_BATCH_ENTRIES = 10
"""SQS's limit on the entries of one batch call."""

MAX_BATCH_BYTES = 262_144
"""Of the messages of one batch call together: a queue's own limit for one message. SQS takes up to 1 MiB, and charges
each 64 KiB as a call."""

MAX_VISIBILITY_SECONDS = 43_200


_MISSING = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
"""The names of one error in SQS's two protocols."""


class RequestQueue:
    """The queue of a model or of a pool.

    Args:
        client: an SQS client.
        url: the queue's URL.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, message: Message, group: str) -> None:
        """Put a message on the queue.

        Args:
            group: SQS delivers the messages of a group that takes a large share of the workers after those of others
                (fair queues). See `message_group`.

        Raises:
            Unavailable: SQS did not confirm the message; after a connection error it may still have accepted it.
        """
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=message.to_body(), MessageGroupId=group)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not send to {self._url}: {error}") from error

    def send_many(self, messages: Sequence[Message], group: str) -> None:
        """Put messages on the queue, with as few calls as possible; `group` as in `send`.

        Raises:
            Unavailable: SQS did not confirm each message; it may have accepted some, or all.
        """
        bodies = [message.to_body() for message in messages]  # ASCII
        start = 0
        while start < len(bodies):
            end, size = start + 1, len(bodies[start])
            while end < min(len(bodies), start + MAX_BATCH_ENTRIES) and size + len(bodies[end]) <= MAX_BATCH_BYTES:
                size += len(bodies[end])
                end += 1
            failed = self._send_batch(bodies[start:end], group)
            for index in failed:
                self.send(messages[start + index], group)
            start = end

    def _send_batch(self, bodies: Sequence[str], group: str) -> list[int]:
        """Returns the places of those that SQS did not accept."""
        entries = [
            {"Id": str(index), "MessageBody": body, "MessageGroupId": group} for index, body in enumerate(bodies)
        ]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not send to {self._url}: {error}") from error
        return [int(failure["Id"]) for failure in answer.get("Failed", ())]

    def set_visibility(self, delays: Mapping[str, int]) -> Sequence[str]:
        """Set the visibility timeouts of received messages: receipt handle -> seconds from now.

        Returns the handles for which it failed: those messages come back when their current visibility timeout ends.
        """
        handles = list(delays)
        missed: list[str] = []
        for start in range(0, len(handles), MAX_BATCH_ENTRIES):
            chunk = handles[start : start + MAX_BATCH_ENTRIES]
            entries = [
                {
                    "Id": str(index),
                    "ReceiptHandle": handle,
                    "VisibilityTimeout": min(max(delays[handle], 0), MAX_VISIBILITY_SECONDS),
                }
                for index, handle in enumerate(chunk)
            ]
            try:
                answer = self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
            except (ClientError, BotoCoreError):
                missed += chunk
                continue
            missed += [chunk[int(failure["Id"])] for failure in answer.get("Failed", ())]
        return missed

    def is_empty(self) -> bool:
        """Whether SQS reports no message at all: visible, in flight or delayed. Its counts are approximate, and may be
        a minute old.

        Raises:
            QueueMissing: there is no such queue.
            Unavailable: SQS did not answer.
        """
        return not any(self.counts())

    def counts(self) -> tuple[int, int]:
        """The number of waiting messages and of those in flight, by SQS's approximate counts.

        Raises:
            QueueMissing: there is no such queue.
            Unavailable: SQS did not answer.
        """
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        try:
            answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        except (ClientError, BotoCoreError) as error:
            text = f"could not get the message counts of {self._url}: {error}"
            raise (QueueMissing if _code(error) in _MISSING else Unavailable)(text) from error
        visible, delayed, in_flight = (int(answer["Attributes"][name]) for name in names)
        return visible + delayed, in_flight


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
