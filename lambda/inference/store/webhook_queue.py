"""The deliverer's queue: messages that say which request's webhook may be due. The record says what is to be done.

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
        url: the webhook's; not in the body, but its host is the message's group: SQS delivers first to receivers that
            have few in flight (fair queues).
        again: also if it has failed: what a redrive of the dead-letter queue is for.
    """

    request_id: str
    url: str = ""
    again: bool = False

    def to_body(self) -> str:
        return json.dumps({"request_id": self.request_id} | ({"again": True} if self.again else {}))

    @classmethod
    def from_body(cls, body: str) -> WebhookMessage:
        """Read a message.

        Raises:
            ValueError: it is no JSON object, or has no `request_id`.
        """
        fields = json.loads(body)
        request_id = fields.get("request_id") if isinstance(fields, dict) else None
        if not isinstance(request_id, str) or not can_be_id(request_id):
            raise ValueError("'request_id' is missing or not a possible id")
        return cls(request_id, again=fields.get("again") is True)

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
