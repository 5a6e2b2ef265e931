"""The API's rules on fakes: a service with two models, its table and its queues, and two callers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inference import transitions
from inference.batches.counting import Shown
from inference.batches.record import BatchRecord
from inference.batches.service import Batches
from inference.errors import InvalidInput
from inference.listing import Listing
from inference.references import owner_of, reference_to
from inference.requests import Message, Record
from inference.service import Limits, Service
from inference.store.payloads import JSON, Payloads, upload_key
from inference.store.request_table import Applied, WriteResult
from tests.unit.fake_batch_table import FakeBatchTable
from tests.unit.fake_bucket import FakeBucket
from tests.unit.fake_queue import FakeBatchQueue, FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock
from tests.unit.samples import DEADLINE, RETENTION, a_catalog, updates_of, validate_text

ME, YOU = "iam:me", "iam:you"
INPUT = {"text": "fine"}
MAX_ITEMS = 100


class Api:
    """A service on fakes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.queues = {name: FakeQueue(self.clock) for name in ("echo", "other")}
        limits = Limits(attempts=5, deadline=DEADLINE, retention=RETENTION)
        self.pauses: list[float] = []
        self.during_a_pause: Callable[[], object] = lambda: None
        listing = Listing(self.table.caller_index, self.table)
        self.bucket = FakeBucket(self.clock)
        self.payloads = Payloads(self.bucket, link_seconds=900, max_upload_bytes=10**9)
        self._valid = True

        def validate(value: Any) -> Any:
            if not self._valid:
                raise InvalidInput("the schema has changed")
            return validate_text(value)

        self.service = Service(
            self.table, self.queues.__getitem__, a_catalog(validate), listing, limits, self.payloads, pause=self._pause
        )
        self.batch_table = FakeBatchTable()
        self.batch_queue = FakeBatchQueue(self.clock, visibility=720)
        self.batches = Batches(
            self.batch_table,
            self.table,
            self.queues.__getitem__,
            a_catalog(validate),
            limits,
            self.payloads,
            self.batch_queue,  # type: ignore[arg-type]
            MAX_ITEMS,
        )

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds=seconds)
        self.during_a_pause()

    @property
    def queue(self) -> FakeQueue:
        return self.queues["echo"]

    def submit(self, value: Any = None, key: str | None = None, caller: str = ME, model: str | None = None) -> Record:
        return self.service.submit(model, dict(INPUT) if value is None else value, caller, self.clock(), key)

    def reject_inputs(self) -> None:
        """Let every input violate the schema from now on, as after a rollout of a model with another one."""
        self._valid = False

    def submit_batch(self, *texts: str, key: str | None = None, caller: str = ME) -> BatchRecord:
        return self.batches.submit(None, [{"text": text} for text in texts], caller, self.clock(), key)

    def show(self, batch: BatchRecord, start: int = 0, limit: int = 0) -> Shown:
        """The batch as its caller sees it now."""
        return self.batches.show(self.batches.get(batch.batch_id, ME, self.clock()), self.clock(), start, limit)

    def messages(self, model: str = "echo") -> list[Message]:
        return [Message.from_body(held.body) for held in self.queues[model].messages.values()]

    def claim(self, record: Record) -> None:
        claim = updates_of(record, self.clock.now)["claim_first"]
        assert isinstance(self.table.apply([claim])[0], Applied)

    def status(self, request_id: str) -> Record:
        return self.service.status(request_id, ME, self.clock())

    def upload(self, content: bytes, content_type: str = JSON, caller: str = ME) -> dict[str, str]:
        """Make an upload. Returns the reference to it."""
        upload = self.payloads.new_upload(caller, content_type, len(content), self.clock())
        self.bucket.put(upload_key(owner_of(caller), upload.upload_id), content, content_type)
        self.bucket.calls.clear()
        return reference_to(upload.upload_id)

    def erase(self, request_id: str, caller: str = ME) -> Record:
        return self.service.erase(request_id, caller, self.clock())

    def cancel(self, request_id: str) -> Record:
        return self.service.cancel(request_id, ME, self.clock())

    def succeed(self, request_id: str) -> WriteResult:
        """The first attempt's outcome."""
        return self.table.apply([transitions.succeed(request_id, 1, "{}", self.clock())])[0]
