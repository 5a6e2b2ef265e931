"""Webhooks on fakes: the table with its stream, the relay, the deliverer and its queues, the sweeper, a receiver."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inference.requests import FINAL, Record, Status, WebhookState
from inference.store.payloads import file_links
from inference.store.webhook_queue import WebhookMessage
from inference.webhooks.deliverer import Deliverer
from inference.webhooks.relay import Relay
from inference.webhooks.retries import Answer
from inference.webhooks.sweep import WebhookSweeper
from tests.unit.fake_bucket import FakeBucket
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, Faulty, Recorder
from tests.unit.samples import a_record, with_webhook

LEASE_SECONDS = 32
LINK_SECONDS = 900
SECRET = b"1" * 24


class FakeWebhookQueue(Faulty):
    """`WebhookQueue` that puts its messages on a fake queue."""

    def __init__(self, queue: FakeQueue) -> None:
        super().__init__()
        self._queue = queue
        self.rejects: set[int] = set()

    def send(self, messages: Sequence[WebhookMessage]) -> dict[int, str]:
        def effect() -> dict[int, str]:
            for index, message in enumerate(messages):
                if index not in self.rejects:
                    self._queue.put(message.to_body())
            return {index: "InternalError" for index in sorted(self.rejects) if index < len(messages)}

        return self._step("send", effect)


class Receiver(Faulty):
    """What a webhook is sent to. `answers` are those of the next attempts; after them it accepts."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.got: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        def effect() -> Answer:
            self.got.append((url, headers, json.loads(body)))
            return self.answers.pop(0) if self.answers else Answer(status=200, duration_ms=7)

        return self._step("post", effect)


class Webhooks:
    """All of it. `stream` has the changes that the filter lets through and the relay has not handled."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.bucket = FakeBucket(self.clock)
        self.log = Recorder()
        self.receiver = Receiver()
        self.dead_letters = FakeQueue(self.clock)
        self.queue = FakeQueue(self.clock, visibility=180, max_receives=10, dead_letters=self.dead_letters)
        self.into_queue = FakeWebhookQueue(self.queue)
        self.into_dead_letters = FakeWebhookQueue(self.dead_letters)
        self.secrets: Callable[[], Sequence[bytes]] = lambda: (SECRET,)
        self._seen = 0

    def deliverer(self) -> Deliverer:
        """A new process of it. One thread: a test's kill ends the whole invocation."""
        return Deliverer(
            self.table,
            lambda record, now: file_links(self.bucket, record, LINK_SECONDS, now),
            self.receiver,
            lambda: self.secrets(),
            self.queue,
            self.into_dead_letters,
            self.log,
            threads=1,
        )

    def end(self, request_id: str = "a1", **changes: Any) -> Record:
        """A request that has just become final, and that no relay has seen."""
        record = with_webhook(a_record(request_id, status=Status.SUCCEEDED, finished_at=NOW, result="{}"), **changes)
        self.table.put(record)
        return record

    def stream(self) -> list[dict[str, Any]]:
        """The new records of the table's stream that the mapping's filter lets through."""
        changes = [after for _, _, after in self.table.log[self._seen :]]
        self._seen = len(self.table.log)
        return [
            stream_record(after, number)
            for number, after in enumerate(changes)
            if after.status in FINAL and after.webhook_state == WebhookState.WAITING
        ]

    def relay(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        return Relay(self.into_queue, self.log).handle(records)

    def deliver(self) -> list[str]:
        """One invocation of the deliverer, if a message is visible. Returns the ids of the messages that it keeps."""
        records = self.queue.receive()
        if not records:
            return []
        kept = self.deliverer().handle(records, self.clock() + LEASE_SECONDS * 1000, self.clock)
        self.queue.settle(records, kept)
        return kept

    def sweep(self) -> int:
        return WebhookSweeper(self.table, self.into_queue, self.log).sweep(self.clock, lambda: True)["webhooks_sent"]

    def run(self, seconds: int, step: int = 30) -> None:
        """Let time pass, with the relay, the deliverer and the sweeper at work."""
        for at in range(0, seconds, step):
            if records := self.stream():
                self.relay(records)
            self.deliver()
            if at % 300 == 0:
                self.sweep()
            self.clock.advance(seconds=step)

    def state(self, request_id: str = "a1") -> str | None:
        return self.table.record(request_id).webhook_state


def stream_record(record: Record, number: int = 0) -> dict[str, Any]:
    """A record of a stream's event, as far as the relay reads it."""
    image = {"webhook_url": {"S": record.webhook_url}, "status": {"S": str(record.status)}}
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "Keys": {"request_id": {"S": record.request_id}},
            "NewImage": image,
            "SequenceNumber": f"{1000 + number}",
        },
    }
