"""All that a batch from a file meets, on fakes: api and batches functions, a worker, dead letters and a sweeper."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from inference.batches.counting import Shown
from inference.batches.creation import Creation, FileLimits
from inference.batches.record import BatchRecord
from inference.batches.service import Batches
from inference.dead_letter_handler import DeadLetterHandler
from inference.references import owner_of
from inference.requests import new_request_id
from inference.service import Limits
from inference.store.payloads import JSON_LINES, Payloads, upload_key
from inference.sweep import SETTLE_MS, Sweeper
from tests.unit.api_harness import MAX_ITEMS, ME
from tests.unit.fake_batch_table import FakeBatchTable
from tests.unit.fake_queue import FakeBatchQueue, FakeQueue
from tests.unit.fakes import Recorder
from tests.unit.samples import DEADLINE, RETENTION, a_catalog
from tests.unit.worker_harness import WorkerHarness

GRACE = 900_000
LEASE_MS = 122_000
LIMITS = FileLimits(max_lines=1_000, max_line_bytes=1_000_000, max_depth=32)
MAX_RECEIVES = 100


class BatchFiles:
    """Everything that a batch from a file meets."""

    def __init__(self) -> None:
        self.worker = WorkerHarness()
        self.clock, self.table, self.bucket = self.worker.clock, self.worker.table, self.worker.bucket
        self.batch_table = FakeBatchTable()
        self.dead_letters = FakeQueue(self.clock)
        self.batch_queue = FakeBatchQueue(self.clock, 720, MAX_RECEIVES, self.dead_letters)
        self.log = Recorder()
        self.payloads = Payloads(self.bucket, link_seconds=900, max_upload_bytes=10**9)
        self.batches = Batches(
            self.batch_table,  # type: ignore[arg-type]
            self.table,  # type: ignore[arg-type]
            lambda _: self.worker.queue,  # type: ignore[arg-type, return-value]
            a_catalog(),
            Limits(attempts=5, deadline=DEADLINE, retention=RETENTION),
            self.payloads,
            self.batch_queue,  # type: ignore[arg-type]
            MAX_ITEMS,
        )
        self.limits = LIMITS
        self.steps = 10**9
        """That an invocation has time for."""
        self.sweeper = Sweeper(
            self.table,  # type: ignore[arg-type]
            ("echo", "other"),
            lambda _: (self.worker.queue,),  # type: ignore[arg-type, return-value]
            GRACE,
            Recorder(),
        )
        self.dead_letter_handler = DeadLetterHandler(
            self.table,  # type: ignore[arg-type]
            self.batch_table,  # type: ignore[arg-type]
            {},
            lambda *_: [],
            self.log,
        )

    def upload(self, content: bytes, content_type: str = JSON_LINES[0], caller: str = ME) -> str:
        """Make an upload. Returns its id."""
        upload_id = new_request_id()
        self.bucket.put(upload_key(owner_of(caller), upload_id), content, content_type)
        return upload_id

    def upload_lines(self, *values: Any) -> str:
        return self.upload("".join(json.dumps(value) + "\n" for value in values).encode())

    def submit(self, upload_id: str, key: str | None = None, model: str | None = None) -> BatchRecord:
        return self.batches.submit_file(model, upload_id, ME, self.clock(), key)

    def submit_texts(self, *texts: str, key: str | None = None) -> BatchRecord:
        return self.submit(self.upload_lines(*({"text": text} for text in texts)), key)

    def create(self, most: int = 1) -> None:
        """One invocation of the batches function, and what the mapping does after it."""
        creation = Creation(
            self.batch_table,  # type: ignore[arg-type]
            self.table,  # type: ignore[arg-type]
            lambda _: self.worker.queue,  # type: ignore[arg-type, return-value]
            a_catalog(),
            self.payloads,
            self.batch_queue,
            self.limits,
            self.log,
        )
        records = self.batch_queue.receive(most)
        left = self.steps

        def time_left() -> bool:
            nonlocal left
            left -= 1
            return left >= 0

        kept = creation.handle(records, self.clock() + LEASE_MS, self.clock, time_left)
        self.batch_queue.settle(records, kept)

    def create_all(self) -> None:
        """Invocations until the queue is empty."""
        for _ in range(300):
            if not self.batch_queue.messages:
                return
            self.create()
            self.clock.advance(seconds=1)
        raise AssertionError("there is still a message")

    def wait_for_redelivery(self) -> None:
        self.clock.advance(seconds=721)

    def work(self) -> None:
        """All that the functions and the sweeper do, until there is nothing left."""
        for _ in range(4):
            self.wait_for_redelivery()
            while [held for held in self.batch_queue.messages.values() if held.visible_at <= self.clock()]:
                self.create()
            for _ in range(60):
                if not self.worker.queue.messages:
                    break
                self.worker.run()
            self.clock.advance(ms=GRACE + SETTLE_MS + 1)
            self.sweeper.sweep(self.clock, lambda: True)

    def when(self, action: Callable[[str], object], after: bool = False) -> None:
        """Do something before, or after, each effect."""
        for target in (self.batch_table, self.table, self.bucket, self.worker.queue, self.batch_queue):
            setattr(target, "after" if after else "before", action)

    def computed(self) -> list[str]:
        return sorted(text for texts in self.worker.model.passes for text in texts)

    def show(self, batch: BatchRecord, start: int = 0, limit: int = 0) -> Shown:
        now = self.clock()
        return self.batches.show(self.batches.get(batch.batch_id, ME, now), now, start, limit)

    def counts(self, batch: BatchRecord) -> dict[str, int]:
        return {status: count for status, count in self.show(batch).tally.counts.items() if count}
