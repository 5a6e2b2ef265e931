"""The queue of the batches function: messages that say which batch there is work for. The batch's record says what."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from inference.errors import Unavailable
from inference.requests import can_be_id


class BatchQueue:
    """Sends messages to the batches function.

    Args:
        client: an SQS client.
        url: the queue's URL.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, batch_id: str) -> None:
        """Have a batch looked at. One message too many does no harm.

        Raises:
            Unavailable: SQS did not confirm the message; it may still have accepted it.
        """
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=to_body(batch_id), MessageGroupId=batch_id)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not send to {self._url}: {error}") from error


def to_body(batch_id: str) -> str:
    """The body of the message about a batch."""
    return json.dumps({"batch_id": batch_id})


def batch_id_of(body: str) -> str | None:
    """The batch that a message is about; None: it is no message about a batch."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    batch_id = fields.get("batch_id") if isinstance(fields, dict) and fields.keys() == {"batch_id"} else None
    return batch_id if isinstance(batch_id, str) and can_be_id(batch_id) else None
