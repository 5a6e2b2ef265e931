"""A dispatcher, its callbacks and a provider on fakes: accept, work until nothing is left, look at the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from inference.requests import FINAL, Record
from scripts.stack_defaults import CODE_DIGEST
from tests.unit.fake_bucket import FakeBucket
from tests.unit.fake_provider import FakeProvider, Run
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock, Killed, Recorder
from tests.unit.samples import a_message, a_record, validate_text
from worker.dispatch.callbacks import Callbacks, Done
from worker.dispatch.delays import LookDelay
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.model import BackendModel, Provider
from worker.invocation import Invocation, RetryDelay
from worker.payloads import WorkerPayloads

REMAINING = 60_000
MINIMUM, MAXIMUM = 2, 120
API_URL = "https://api.example.com"


class FixedToken:
    """A secret that a test sets; `unreadable` is raised instead."""

    def __init__(self) -> None:
        self.value: dict[str, str] = {"token": "t0ken"}
        self.unreadable: Exception | None = None
        self.reads: list[bool] = []

    def secret(self, *, fresh: bool = False) -> Mapping[str, str]:
        self.reads.append(fresh)
        if self.unreadable is not None:
            raise self.unreadable
        return dict(self.value)


class DispatchHarness:
    """One model at a fake provider."""

    def __init__(
        self, *, callbacks: bool = True, output_files: Mapping[str, str] | None = None, input_files: Any = None
    ) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.queue = FakeQueue(self.clock, visibility=360, max_receives=1000)
        self.bucket = FakeBucket(self.clock)
        self.log = Recorder()
        self.provider = FakeProvider(self.clock)
        self.token = FixedToken()
        self.made: list[str] = []
        self.steps: list[str] = []
        self.kill_at: int | None = None
        self.on_step: Callable[[str], None] = lambda _: None
        payloads = WorkerPayloads(self.bucket)
        self.model = BackendModel(
            "echo",
            "1.0.0",
            input_files or {},
            output_files or {},
            validate_text,
            Provider(self._make, self.token),
            LookDelay(MINIMUM, MAXIMUM),
            callbacks,
        )
        models = {"echo": self.model}
        self.dispatcher = Dispatcher(
            models, API_URL, self.table, self.queue, RetryDelay(2, 300), CODE_DIGEST, self.log, payloads
        )
        self.callbacks = Callbacks(models, self.table, self.log, payloads)
        self.invocations = 0
        for target in (self.table, self.queue, self.bucket, self.provider):
            target.before, target.after = self._before, self._after

    def _make(self, secret: Mapping[str, str]) -> FakeProvider:
        self.made.append(secret["token"])
        return self.provider

    def _before(self, operation: str) -> None:
        self._step(f"before {self._what(operation)}")

    def _after(self, operation: str) -> None:
        self._step(f"after {self._what(operation)}")

    def _what(self, operation: str) -> str:
        update = self.table.applying
        if operation != "apply" or update is None:
            return operation
        return next((name for name, it in NAMES.items() if it is update.transition), operation)

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if self.kill_at is not None and len(self.steps) > self.kill_at:
            self.kill_at = None
            raise Killed(name)
        self.on_step(name)

    def add(self, text: str = "hi", request_id: str = "a1", **changes: Any) -> str:
        """Accept a request. Returns its id."""
        record = a_record(request_id, **changes)
        self.table.put(record)
        self.queue.put(a_message(record, {"text": text}).to_body())
        return request_id

    def run(self) -> bool:
        """One invocation with what is visible, and what the mapping does after it. False: it was killed."""
        self.invocations += 1
        records = self.queue.receive(10)
        if not records:
            return True
        ends = self.clock.now + REMAINING
        invocation = Invocation(f"i{self.invocations}", lambda: ends - self.clock.now, self.clock)
        try:
            failed = self.dispatcher.process(records, invocation)
        except Killed:
            return False
        self.queue.settle(records, failed)
        return True

    def call_back(self, run: Run, *, forged: bool = False, bearer: str = "provider") -> Done | None:
        """The provider's callback of a run. None: its function was killed."""
        _, _, path = str(run.submission.callback_url).partition("/callbacks/")
        names = ("model", "request_id", "number", "signature")
        address = dict(zip(names, path.split("/"), strict=True))
        if forged:
            address["signature"] = address["signature"][::-1]
        body = json.dumps({"id": run.run_id}).encode()
        headers = {"authorization": f"Bearer {bearer}"}
        try:
            return self.callbacks.receive(address, headers, body, self.clock.now + REMAINING, self.clock.now)
        except Killed:
            return None

    def work(self, *, until: Callable[[], bool] = lambda: False, seconds: int = 200_000) -> None:
        """Run what becomes visible, until the queue is empty or a condition holds. Fails where that takes longer."""
        end = self.clock.now + seconds * 1000
        while self.queue.messages and not until():
            self.clock.now = max(self.clock.now, min(held.visible_at for held in self.queue.messages.values()))
            assert self.clock.now <= end, f"stuck: {self.record()}"
            self.run()

    def record(self, request_id: str = "a1") -> Record:
        return self.table.record(request_id)

    def error(self, request_id: str = "a1") -> Any:
        return json.loads(str(self.record(request_id).error))

    @property
    def outcomes(self) -> int:
        """How often a request became final."""
        return sum(after.status in FINAL for _, before, after in self.table.log if before.status not in FINAL)

    def count(self, name: str) -> int:
        """The sum of a metric."""
        self.log.write_metrics()
        return sum(line.get(name, 0) for line in self.log.embedded)


def _names() -> dict[str, Any]:
    from tests.unit.samples import TRANSITIONS

    return dict(TRANSITIONS)


NAMES = _names()
