"""A worker on fakes, for the tests of a batch's way: what is on the queue, one invocation, what it left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from scripts.stack_defaults import CODE_DIGEST
from tests.unit.fake_bucket import FakeBucket
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock, ReadyModel, Recorder
from tests.unit.samples import a_message, a_record, validate_text
from worker.batch import Worker
from worker.invocation import Invocation, RetryDelay
from worker.message_loop import LEASE_MARGIN_MS
from worker.model.errors import InputError
from worker.payloads import WorkerPayloads
from worker.prediction import Prediction

REMAINING = 30_000
LEASE_SECONDS = (REMAINING + LEASE_MARGIN_MS) // 1000 + 1


class EchoModel(ReadyModel):
    """Gives each text back. What `reactions` has for a text happens instead: it is raised, returned or called."""

    def __init__(self) -> None:
        self.reactions: dict[str, Any] = {}
        self.passes: list[list[str]] = []

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        texts = [value["text"] for value in inputs]
        self.passes.append(texts)
        return [self._one(value) for value in inputs]

    def _one(self, value: Any) -> Any:
        reaction = self.reactions.get(value["text"])
        if isinstance(reaction, InputError):
            return reaction
        if isinstance(reaction, BaseException):
            raise reaction
        if callable(reaction):
            reaction()
        return {"echo": value["text"], "threshold": value["threshold"]}


class WorkerHarness:
    """A worker on fakes, and the queue's side of it."""

    def __init__(
        self,
        table: FakeTable | None = None,
        model: EchoModel | None = None,
        clock: Clock | None = None,
        other: EchoModel | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.table = table or FakeTable()
        self.queue = FakeQueue(self.clock)
        self.model = model or EchoModel()
        self.log = Recorder()
        self.remaining: Callable[[], int] = lambda: REMAINING
        self.invocations = 0
        self.bucket = FakeBucket(self.clock)
        self.payloads = WorkerPayloads(self.bucket)
        self.models = {"echo": self.model, "other": other or EchoModel()}
        self.predictions = {name: self.prediction(model) for name, model in self.models.items()}
        self.worker = Worker(
            self.predictions, self.table, self.queue, RetryDelay(2, 300), CODE_DIGEST, self.log, self.payloads
        )

    def prediction(self, model: EchoModel) -> Prediction:
        """One of this worker's."""
        return Prediction(model, validate_text, self.log, self.payloads)

    def add(self, *texts: str, **changes: Any) -> list[str]:
        """Accept requests. Returns their ids."""
        ids = []
        for text in texts:
            record = a_record(f"{len(self.table.items):x}-{text}", **changes)
            self.table.put(record)
            self.queue.put(a_message(record, {"text": text}).to_body())
            ids.append(record.request_id)
        return ids

    def run(self, most: int = 10) -> list[str]:
        """One invocation, and what the mapping does after it. Returns the message ids that failed."""
        records = self.queue.receive(most)
        failed = self.process(records)
        self.queue.settle(records, failed)
        return failed

    def process(self, records: Sequence[Any]) -> list[str]:
        self.invocations += 1
        return self.worker.process(records, Invocation(f"i{self.invocations}", lambda: self.remaining(), self.clock))

    def statuses(self) -> list[str]:
        return [str(item["status"]) for item in self.table.items.values()]

    def hidden_seconds(self) -> list[int]:
        """When each message on the queue comes back."""
        return [(held.visible_at - self.clock.now) // 1000 for held in self.queue.messages.values()]

    def error(self, request_id: str) -> Any:
        return json.loads(str(self.table.record(request_id).error))
