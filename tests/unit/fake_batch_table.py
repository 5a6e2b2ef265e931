"""A fake table of batches, in memory."""

from __future__ import annotations

from typing import Any

from inference.batches.record import BatchRecord
from inference.batches.transitions import discard_if
from inference.conditions import Value
from inference.transitions import CREATE_IF, Update
from tests.unit.conditions import bound, holds, plain
from tests.unit.fakes import Faulty


class FakeBatchTable(Faulty):
    """`BatchTable` in memory, with the conditions of the code evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, dict[str, Value]] = {}
        self.written: list[tuple[str, dict[str, Value]]] = []
        """Every update that applied: the batch's id, and the item after it."""

    def create(self, batch: BatchRecord) -> BatchRecord | None:
        self.calls.append("create_batch")

        def write() -> BatchRecord | None:
            existing = self.items.get(batch.batch_id, {})
            if holds(CREATE_IF, existing, {"now_seconds": batch.submitted_at // 1000}):
                self.items[batch.batch_id] = _item(batch)
                return None
            current = _batch(existing)
            return None if current == batch else current

        found: BatchRecord | None = self._step("create_batch", write)
        return found

    def discard(self, batch: BatchRecord) -> bool:
        self.calls.append("discard_batch")

        def remove() -> bool:
            condition, values = discard_if(batch)
            if not holds(condition, self.items.get(batch.batch_id, {}), values):
                return False
            self.items.pop(batch.batch_id, None)
            return True

        return bool(self._step("discard_batch", remove))

    def get(self, batch_id: str, consistent: bool = False) -> BatchRecord | None:
        self.calls.append("get_batch")
        item = self.items.get(batch_id)
        found: BatchRecord | None = self._step("get_batch", lambda: _batch(item) if item else None)
        return found

    def apply(self, update: Update) -> BatchRecord | None:
        self.calls.append("apply_batch")
        applied: BatchRecord | None = self._step("apply_batch", lambda: self._apply(update))
        return applied

    def _apply(self, update: Update) -> BatchRecord | None:
        item = self.items.get(update.request_id)
        if item is None or not holds(update.transition.condition, item, update.values):
            return None
        changed: dict[str, Any] = dict(item)
        for name, value in update.transition.sets.items():
            changed[name] = bound(value, update.values)  # type: ignore[arg-type]
        for name in update.transition.removes:
            changed.pop(name, None)
        self.items[update.request_id] = changed
        self.written.append((update.request_id, changed))
        return _batch(changed)


def _item(batch: BatchRecord) -> dict[str, Value]:
    item = {name: plain(value) for name, value in batch._asdict().items() if value is not None}
    shard: dict[str, Value] = {} if batch.webhook_due is None else {"webhook_shard": batch.batch_id[0]}
    return item | {"request_id": f"batch/{batch.batch_id}"} | shard


def _batch(item: dict[str, Value]) -> BatchRecord:
    known: dict[str, Any] = {name: value for name, value in item.items() if name not in ("request_id", "webhook_shard")}
    return BatchRecord(**known)
