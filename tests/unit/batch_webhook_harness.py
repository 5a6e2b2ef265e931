"""Batches with a webhook on fakes: all that a batch meets (`batch_file_harness.py`), and all of webhooks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from inference.batches.record import BatchRecord
from inference.requests import Record
from inference.sweep import SETTLE_MS
from inference.webhooks.retries import MESSAGE_GRACE_MS
from tests.unit.api_harness import ME
from tests.unit.batch_file_harness import GRACE, BatchFiles
from tests.unit.fakes import Killed
from tests.unit.samples import DEADLINE, WEBHOOK_URL
from tests.unit.webhook_harness import Webhooks


class BatchWebhooks(BatchFiles):
    """Batches with a webhook, from the submit to the receiver."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks = Webhooks(self.clock, self.table, self.batch_table)
        self.receiver = self.hooks.receiver

    def submit_items(self, *texts: str, key: str | None = None, webhook: str | None = WEBHOOK_URL) -> BatchRecord:
        """A batch from one body."""
        values = [{"text": text} for text in texts]
        return self.batches.submit(None, values, ME, self.clock(), key, webhook)

    def submit_file(self, *texts: str, key: str | None = None, webhook: str | None = WEBHOOK_URL) -> BatchRecord:
        return self.submit_upload(self.upload_lines(*({"text": text} for text in texts)), key, webhook)

    def submit_upload(self, upload_id: str, key: str | None = None, webhook: str | None = WEBHOOK_URL) -> BatchRecord:
        return self.batches.submit_file(None, upload_id, ME, self.clock(), key, webhook)

    def items(self, batch: BatchRecord) -> list[Record]:
        current = self.batch(batch)
        return [self.table.record(name) for name in current.item_ids(0, current.total) if name in self.table.items]

    def batch(self, batch: BatchRecord) -> BatchRecord:
        found = self.batches.get(batch.batch_id, ME, self.clock())
        assert found is not None
        return found

    def documents(self) -> list[dict[str, Any]]:
        """What the receiver got."""
        return [document for _, _, document in self.receiver.got]

    def webhook_ids(self) -> set[str]:
        return {headers["webhook-id"] for _, headers, _ in self.receiver.got}

    def announce(self) -> None:
        """The relay and the deliverer, until nothing is left to do at this time."""
        for _ in range(20):
            records = self.hooks.stream()
            if records:
                assert self.hooks.relay(records) == []
            visible = [held for held in self.hooks.queue.messages.values() if held.visible_at <= self.clock()]
            if not records and not visible:
                return
            self.hooks.deliver()
        raise AssertionError("it does not end")

    def go_on(self, hours: int = 1) -> None:
        """Let time pass, with everything at work, killed processes included: no kill is set any more."""
        self.everywhere(lambda _: None)
        self.everywhere(lambda _: None, after=True)
        self.work()
        self.hooks.run(hours * 3600)

    def everywhere(self, action: Callable[[str], object], after: bool = False) -> None:
        """Do something before, or after, each effect, those of webhooks included."""
        self.when(action, after)
        for target in (self.receiver, self.hooks.into_queue, self.hooks.into_dead_letters):
            setattr(target, "after" if after else "before", action)

    def until_killed(self, *actions: Callable[[], object]) -> None:
        for action in actions:
            with suppress(Killed):
                action()

    def after_the_deadline(self) -> None:
        """The deadline passes, what is open expires, and the sweep of webhooks comes."""
        self.clock.advance(ms=DEADLINE * 1000 + MESSAGE_GRACE_MS + 1)
        for _ in range(3):
            self.sweeper.sweep(self.clock, lambda: True)
            self.clock.advance(ms=GRACE + SETTLE_MS + 1)
        self.hooks.sweep()
