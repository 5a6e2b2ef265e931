"""The deliverer's queue: messages that say whose webhook may be due, a request's or a batch's. The record says what is
to be done.

Errors of SQS are translated here: callers see which messages were not sent, never a `ClientError`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from inference.requests import can_be_id
from inference.store.request_queue import MAX_BATCH_ENTRIES


class WebhookMessage(NamedTuple):
    """A message of the queue.

    Attributes:
        id: of the request, or of the batch.
        url: the webhook's; not in the body, but its host is the message's group: SQS delivers first to receivers that
            have few in flight (fair queues).
        again: also if it has failed: what a redrive of the dead-letter queue is for.
        of_batch: it is about a batch.
    """

    id: str
    url: str = ""
    again: bool = False
    of_batch: bool = False

    @property
    def named(self) -> dict[str, str]:
        """What it is about, as bodies and log events have it."""
        return {"batch_id" if self.of_batch else "request_id": self.id}

    def to_body(self) -> str:
        return json.dumps({**self.named, **({"again": True} if self.again else {})})

    @classmethod
    def from_body(cls, body: str) -> WebhookMessage:
        """Read a message.

        Raises:
            ValueError: it is no JSON object, or has no `request_id` and no `batch_id`.
        """
        fields = json.loads(body)
        if not isinstance(fields, dict):
            raise ValueError("the body is not a JSON object")
        of_batch = "request_id" not in fields
        found = fields.get("batch_id" if of_batch else "request_id")
        if not isinstance(found, str) or not can_be_id(found):
            raise ValueError("'request_id' or 'batch_id' is missing or not a possible id")
        return cls(found, again=fields.get("again") is True, of_batch=of_batch)

    @property
    def group(self) -> str:
        """The group of the receiver: of its host, since a client's URL may have a token in its path."""
        return hashlib.sha256((urlsplit(self.url).hostname or "").encode()).hexdigest()[:32]


class WebhookQueue:
    """Sends messages to the deliverer's queue, or to its dead-letter queue.

    Args:
        client: an SQS client of boto3.
        url: the queue's URL.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, messages: Sequence[WebhookMessage]) -> dict[int, str]:
        """Send messages. Returns those that SQS did not confirm, by their index, with the reason."""
        missed: dict[int, str] = {}
        for start in range(0, len(messages), MAX_BATCH_ENTRIES):
            chunk = messages[start : start + MAX_BATCH_ENTRIES]
            entries = [
                {"Id": str(index), "MessageBody": message.to_body(), "MessageGroupId": message.group}
                for index, message in enumerate(chunk, start)
            ]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                missed |= dict.fromkeys(range(start, start + len(chunk)), str(error))
                continue
            missed |= {int(entry["Id"]): f"{entry['Code']}" for entry in answer.get("Failed", ())}
        return missed
