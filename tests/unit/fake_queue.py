"""A fake request queue, in memory, and the records in which Lambda passes its messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.errors import Unavailable
from inference.requests import Message
from inference.store.batch_queue import to_body
from tests.unit.fakes import NOW, Faulty


@dataclass
class StoredMessage:
    """A message on a fake queue."""

    message_id: str
    body: str
    sent_at: int
    visible_at: int
    receive_count: int = 0


class FakeQueue(Faulty):
    """A request queue, with the consumer's side that SQS and Lambda's mapping play.

    Like SQS: a received message is hidden for a while, comes back unless deleted, and is dead-lettered after
    `max_receives`.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        visibility: int = 180,
        max_receives: int = 8,
        dead_letters: FakeQueue | None = None,
    ) -> None:
        super().__init__()
        self._dead_letters = dead_letters
        self._clock = clock
        self._visibility = visibility
        self._max_receives = max_receives
        self._ids = itertools.count(1)
        self.messages: dict[str, StoredMessage] = {}
        self.groups: list[str] = []
        self.dead_lettered: list[str] = []
        self.shown: list[dict[str, int]] = []

    def send(self, message: Message, group: str = "echo:0") -> None:
        self.calls.append("send")
        self.groups.append(group)
        self._step("send", lambda: self.put(message.to_body()))

    def send_many(self, messages: Sequence[Message], group: str) -> None:
        for start in range(0, len(messages), 10):
            self.calls.append("send_many")
            for message in messages[start : start + 10]:
                self.groups.append(group)
                self._step("send_many", lambda message=message: self.put(message.to_body()))

    def put(self, body: str) -> None:
        name = f"m{next(self._ids)}"
        self.messages[name] = StoredMessage(name, body, self._clock(), self._clock())

    def set_visibility(self, delays: Mapping[str, int]) -> Sequence[str]:
        if delays:
            self.calls += ["set_visibility"] * ((len(delays) + 9) // 10)
        try:
            return self._step("set_visibility", lambda: self._set_visibility(delays))
        except Unavailable:
            return list(delays)

    def _set_visibility(self, delays: Mapping[str, int]) -> Sequence[str]:
        self.shown.append(dict(delays))
        missed = []
        for handle, seconds in delays.items():
            name, _, count = handle.partition("/")
            held = self.messages.get(name)
            if held is None or held.receive_count != int(count):
                missed.append(handle)
            else:
                held.visible_at = self._clock() + seconds * 1000
        return missed

    def is_empty(self) -> bool:
        self.calls.append("is_empty")
        return self._step("is_empty", lambda: not self.messages)

    def counts(self) -> tuple[int, int]:
        self.calls.append("counts")
        in_flight = sum(held.visible_at > self._clock() for held in self.messages.values())
        return self._step("counts", lambda: (len(self.messages) - in_flight, in_flight))

    def receive(self, most: int = 10) -> list[dict[str, Any]]:
        """What the mapping would hand to a worker now, as records of an SQS event."""
        records: list[dict[str, Any]] = []
        for held in list(self.messages.values()):
            if held.visible_at > self._clock() or len(records) == most:
                continue
            if held.receive_count >= self._max_receives:
                del self.messages[held.message_id]
                self.dead_lettered.append(held.body)
                if self._dead_letters is not None:
                    self._dead_letters.put(held.body)
                continue
            held.receive_count += 1
            held.visible_at = self._clock() + self._visibility * 1000
            records.append(sqs_record(held.message_id, held.body, held.receive_count, held.sent_at))
        return records

    def settle(self, records: Sequence[Mapping[str, Any]], failed: Sequence[str]) -> None:
        """What the mapping does after an invocation that returned: delete what did not fail."""
        for record in records:
            if record["messageId"] not in failed:
                self.messages.pop(record["messageId"], None)


class FakeBatchQueue(FakeQueue):
    """The queue of the batches function, with the consumer's side."""

    def send(self, batch_id: str) -> None:  # type: ignore[override]
        self.calls.append("send_batch")
        self._step("send_batch", lambda: self.put(to_body(batch_id)))


def sqs_record(message_id: str, body: str, receive_count: int = 1, sent_at: int = NOW) -> dict[str, Any]:
    """A record of an SQS event, as far as anything reads it."""
    return {
        "messageId": message_id,
        "receiptHandle": f"{message_id}/{receive_count}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receive_count), "SentTimestamp": str(sent_at)},
    }
