"""A fake request table, in memory.

The tests of `table_contract.py` run with the fake, moto and the emulator, so that they behave alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference.conditions import Condition, Value
from inference.errors import Unavailable
from inference.requests import OPEN, Record, Status, open_shard
from inference.store.caller_index import Position
from inference.store.request_table import SHARDS, Applied, ConditionFailed, WriteResult
from inference.transitions import Increment, Update, create_if, discard_if, erase_if
from tests.unit.conditions import bound, holds, plain
from tests.unit.fakes import Faulty


class FakeTable(Faulty):
    """`RequestTable` in memory. `log` has every update that applied, with the record before and after it."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, dict[str, Value]] = {}
        self.log: list[tuple[Update, Record, Record]] = []
        self.applying: Update | None = None
        self.not_yet_read: set[str] = set()  # what an eventually consistent read of many does not find
        self.not_indexed: set[str] = set()  # whose entries come late into the index `open`
        self.swept: dict[str, int] = {}
        self.caller_index = FakeCallerIndex(self)
        self.batches: Mapping[str, Mapping[str, Value]] = {}
        """The batches' records in the same table, by their keys: see `FakeBatchTable`."""

    def put(self, record: Record) -> None:
        """Put a record in its place, whatever was there."""
        self.items[record.request_id] = item_of(record)

    def record(self, request_id: str) -> Record:
        return _record(self.items[request_id])

    def create(self, record: Record, lost: Record | None = None) -> Record | None:
        self.calls.append("create")
        return self._step("create", lambda: self._create(record, lost))

    def _create(self, record: Record, lost: Record | None = None) -> Record | None:
        condition, values = create_if(record, lost)
        existing = self.items.get(record.request_id, {})
        if holds(condition, existing, values):
            self.put(record)
            return None
        current = _record(existing)
        return None if current == record else current

    def create_many(self, records: Sequence[Record]) -> None:
        for start in range(0, len(records), 25):
            self.calls.append("create_many")
            for record in records[start : start + 25]:
                self._step("create_many", lambda record=record: self._create(record))

    def discard(self, record: Record) -> bool:
        self.calls.append("discard")
        return self._step("discard", lambda: self._discard(record))

    def _discard(self, record: Record) -> bool:
        return self._delete(record, discard_if(record))

    def erase(self, record: Record) -> bool:
        self.calls.append("erase")
        return self._step("erase", lambda: self._delete(record, erase_if(record)))

    def _delete(self, record: Record, only_if: tuple[Condition, Mapping[str, Value]]) -> bool:
        condition, values = only_if
        if holds(condition, self.items.get(record.request_id, {}), values):
            self.items.pop(record.request_id, None)
            return True
        return False

    def get(self, request_id: str, consistent: bool = False) -> Record | None:
        self.calls.append("get")

        def read() -> Record | None:
            item = self.items.get(request_id)
            return _record(item) if item else None

        return self._step("get", read)

    def find(self, request_id: str) -> Record | None:
        return self.get(request_id) or self.get(request_id, consistent=True)

    def submitted(self, shard: str, after: int, before: int) -> Iterator[tuple[str, int]]:
        found = self._in_open_index("submitted", shard)
        yield from ((request_id, at) for at, request_id in found if after < at < before)

    def followed(self, shard: str) -> Iterator[str]:
        yield from (request_id for _, request_id in self._in_open_index("followed", f"{shard}-followed"))

    def _in_open_index(self, call: str, shard: str) -> list[tuple[int, str]]:
        def read() -> list[tuple[int, str]]:
            return sorted(
                (int(item["submitted_at"]), request_id)
                for request_id, item in self.items.items()
                if item.get("open_shard") == shard and request_id not in self.not_indexed
            )

        if not read():
            return []  # no step: a sweep asks for 32 partitions, of which a test has one or two
        self.calls.append(call)
        return self._step(call, read)

    def swept_until(self) -> dict[str, int]:
        self.calls.append("swept_until")
        return self._step("swept_until", lambda: dict(self.swept))

    def save_swept_until(self, shard: str, until: int) -> None:
        self.calls.append("save_swept_until")

        def save() -> None:
            self.swept[shard] = max(until, self.swept.get(shard, until))

        self._step("save_swept_until", save)

    @property
    def maybe_open(self) -> set[str]:
        """What a sweep would find, now or when the grace time is over."""
        return {
            request_id
            for request_id, item in self.items.items()
            if "open_shard" in item
            and (str(item["open_shard"]) not in SHARDS or int(item["submitted_at"]) > self.swept.get(request_id[0], 0))
        }

    def due_webhook_keys(self, due_before: int, first_shard: int = 0) -> Iterator[str]:
        self.calls.append("due_webhook_keys")
        found = [
            (
                (SHARDS.index(str(item["webhook_shard"])) - first_shard) % len(SHARDS),
                int(item["webhook_due"]),
                request_id,
            )
            for request_id, item in {**self.items, **self.batches}.items()
            if "webhook_shard" in item and "webhook_due" in item and int(item["webhook_due"]) < due_before
        ]
        yield from self._step("due_webhook_keys", lambda: [request_id for _, _, request_id in sorted(found)])

    def get_many(
        self, request_ids: Sequence[str], with_results: bool = False, consistent: bool = False
    ) -> Iterator[Record]:
        self.calls += ["get_many"] * ((len(request_ids) + 99) // 100)
        unseen = set() if consistent else self.not_yet_read
        there = [request_id for request_id in request_ids if request_id in self.items.keys() - unseen]
        found = [_record(self.items[request_id]) for request_id in reversed(there)]  # DynamoDB promises no order
        shown = [record._replace(input=None) for record in found] if with_results else list(map(_bare, found))
        yield from self._step("get_many", lambda: shown)

    def failed_with_input(self) -> Iterator[Record]:
        yield from [_record(i) for i in self.items.values() if i["status"] == Status.FAILED and "input" in i]

    def open_records(self, submitted_before: int, most: int) -> tuple[list[Record], bool]:
        found = [self.record(request_id) for request_id in sorted(self.maybe_open)]
        found = [_bare(record) for record in found if record.status in OPEN and record.submitted_at < submitted_before]
        return found[:most], len(found) <= most

    def failed_since(self, finished_after: int, pages: int) -> tuple[list[Record], bool]:
        records = map(_record, self.items.values() if pages else ())
        failed = [record for record in records if record.status is Status.FAILED]
        return [_bare(record) for record in failed if (record.finished_at or 0) > finished_after], pages > 0

    def apply(self, updates: Sequence[Update]) -> list[WriteResult]:
        together = sum(update.transition.in_batches for update in updates)
        singles = len(updates) - together
        self.calls += ["apply"] * (singles + (together + 24) // 25)
        written: list[WriteResult] = []
        for update in updates:
            self.applying = update
            try:
                written.append(self._step("apply", lambda update=update: self._apply(update)))
            except Unavailable as error:
                written.append(error)
        return written

    def _apply(self, update: Update) -> WriteResult:
        item = self.items.get(update.request_id)
        if item is None:
            return ConditionFailed(None)
        transition = update.transition
        if not holds(transition.condition, item, update.values):
            return ConditionFailed(_record(item))
        before = _record(item)
        changed = dict(item)
        for name, value in transition.sets.items():
            increments = isinstance(value, Increment)
            changed[name] = int(item[name]) + 1 if increments else bound(value, update.values)
        for name in transition.removes:
            changed.pop(name, None)
        self.items[update.request_id] = changed
        self.log.append((update, before, _record(changed)))
        return Applied(_record(changed))


class FakeCallerIndex:
    """The index of a fake table."""

    def __init__(self, table: FakeTable) -> None:
        self._table = table

    def page(
        self, caller: str, after: Position | None, most: int, model: str | None = None
    ) -> tuple[Sequence[Position], Position | None]:
        self._table.calls.append("page")
        return self._table._step("page", lambda: self._page(caller, after, most, model))

    def _page(
        self, caller: str, after: Position | None, most: int, model: str | None
    ) -> tuple[Sequence[Position], Position | None]:
        entries = sorted(
            (
                (Position(int(item["submitted_at"]), request_id), item["model"])
                for request_id, item in self._table.items.items()
                if item["caller"] == caller
            ),
            reverse=True,
        )
        left = [entry for entry in entries if after is None or entry[0] < after]
        page = left[:most]
        end = page[-1][0] if len(page) == most else None  # as DynamoDB, also if nothing comes after it
        return [position for position, its in page if model in (None, its)], end


_FIELDS = list(Record._fields)


def item_of(record: Record) -> dict[str, Value]:
    item = {name: value for name in _FIELDS if (value := getattr(record, name)) not in (None, False) or value == 0}
    item = {name: plain(value) for name, value in item.items() if value is not False}
    item["open_shard"] = open_shard(record)
    if record.webhook_due is not None:
        item["webhook_shard"] = record.request_id[0]
    return item


def _bare(record: Record) -> Record:
    return record._replace(input=None, result=None)


def _record(item: Mapping[str, Value]) -> Record:
    known: dict[str, Any] = {name: value for name, value in item.items() if name in _FIELDS}
    return Record(**known | {"status": Status(known["status"])})
