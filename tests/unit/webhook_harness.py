"""Webhooks on fakes: the table with its stream, the relay, the deliverer and its queues, the sweeper, a receiver."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inference.batches.counting import Counting
from inference.batches.finishing import Finishing
from inference.conditions import Value
from inference.requests import BATCH, FINAL, Record, Status, WebhookState
from inference.store.expressions import to_attribute
from inference.store.payloads import file_links
from inference.store.webhook_queue import WebhookMessage
from inference.webhooks.deliverer import Deliverer
from inference.webhooks.outcomes import Batches, Requests
from inference.webhooks.relay import Relay
from inference.webhooks.retries import Answer
from inference.webhooks.sweep import WebhookSweeper
from tests.unit.fake_batch_table import FakeBatchTable
from tests.unit.fake_bucket import FakeBucket
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable, item_of
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

    def __init__(
        self, clock: Clock | None = None, table: FakeTable | None = None, batch_table: FakeBatchTable | None = None
    ) -> None:
        self.clock = clock or Clock()
        self.table = table or FakeTable()
        self.batch_table = batch_table or FakeBatchTable()
        self.table.batches = ByKey(self.batch_table)
        self.bucket = FakeBucket(self.clock)
        self.log = Recorder()
        self.receiver = Receiver()
        self.dead_letters = FakeQueue(self.clock)
        self.queue = FakeQueue(self.clock, visibility=180, max_receives=10, dead_letters=self.dead_letters)
        self.into_queue = FakeWebhookQueue(self.queue)
        self.into_dead_letters = FakeWebhookQueue(self.dead_letters)
        self.secrets: Callable[[], Sequence[bytes]] = lambda: (SECRET,)
        self._seen = self._seen_batches = 0

    def deliverer(self) -> Deliverer:
        """A new process of it. One thread: a test's kill ends the whole invocation."""
        return Deliverer(
            Requests(self.table, self.links),
            Batches(self.batch_table, Counting(self.batch_table, self.table), self.links),
            self.receiver,
            lambda: self.secrets(),
            self.queue,
            self.into_dead_letters,
            self.log,
            threads=1,
        )

    def links(self, record: Record, now: int) -> Sequence[Mapping[str, Any]]:
        return file_links(self.bucket, record, LINK_SECONDS, now)

    def end(self, request_id: str = "a1", **changes: Any) -> Record:
        """A request that has just become final, and that no relay has seen."""
        record = with_webhook(a_record(request_id, status=Status.SUCCEEDED, finished_at=NOW, result="{}"), **changes)
        self.table.put(record)
        return record

    def stream(self) -> list[dict[str, Any]]:
        """The new records of the table's stream that the mapping's filter lets through."""
        changes = [item_of(after) for _, _, after in self.table.log[self._seen :]]
        changes += [item for _, item in self.batch_table.written[self._seen_batches :]]
        self._seen, self._seen_batches = len(self.table.log), len(self.batch_table.written)
        return [_stream_record(item, number) for number, item in enumerate(changes) if passes(item)]

    def finishing(self) -> Finishing:
        return Finishing(self.batch_table, self.table, self.log)

    def relay(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        return Relay(self.into_queue, self.finishing(), self.log, self.clock).handle(records)

    def deliver(self) -> list[str]:
        """One invocation of the deliverer, if a message is visible. Returns the ids of the messages that it keeps."""
        records = self.queue.receive()
        if not records:
            return []
        kept = self.deliverer().handle(records, self.clock() + LEASE_SECONDS * 1000, self.clock)
        self.queue.settle(records, kept)
        return kept

    def sweep(self) -> int:
        sweeper = WebhookSweeper(self.table, self.batch_table, self.finishing(), self.into_queue, self.log)
        return sweeper.sweep(self.clock, lambda: True)["webhooks_sent"]

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


class ByKey(Mapping[str, Mapping[str, Value]]):
    """The batches of a fake table by their keys in the request table."""

    def __init__(self, table: FakeBatchTable) -> None:
        self._table = table

    def __getitem__(self, key: str) -> Mapping[str, Value]:
        return self._table.items[key.removeprefix("batch/")]

    def __iter__(self) -> Iterator[str]:
        return (f"batch/{batch_id}" for batch_id in self._table.items)

    def __len__(self) -> int:
        return len(self._table.items)


def passes(item: Mapping[str, Value]) -> bool:
    """Whether the mapping's filter lets an update through that leaves this item."""
    waiting = item.get("webhook_state") == WebhookState.WAITING
    if item.get("status") in FINAL:
        return waiting or item.get("webhook_of") == BATCH
    return waiting and str(item["request_id"]).startswith("batch/")


def stream_record(record: Record, number: int = 0) -> dict[str, Any]:
    """A record of a stream's event about a request."""
    return _stream_record(item_of(record), number)


def _stream_record(item: Mapping[str, Value], number: int) -> dict[str, Any]:
    image = {name: to_attribute(value) for name, value in item.items()}
    change = {"Keys": {"request_id": image["request_id"]}, "NewImage": image, "SequenceNumber": f"{1000 + number}"}
    return {"eventName": "MODIFY", "dynamodb": change}
