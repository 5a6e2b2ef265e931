"""Stand-ins for the request table and the request queues, in memory.

The table is held to the real adapter by one contract (`table_contract.py`) that the fake, moto and the emulator all
pass. Conditions are evaluated here from the language of `Update`, not through either of its renderings.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from inference.catalog import Catalog, InvalidInput
from inference.errors import Unavailable
from inference.expressions import Update, Value
from inference.moves import Moves
from inference.request_table import SHARDS, Applied, Refusal, Written
from inference.requests import ErrorCode, Failure, Message, Move, Record, Status
from inference.telemetry import Telemetry

NOW = 1_800_000_000_000
"""When these tests happen: epoch milliseconds."""

DEADLINE = 86_400
RETENTION = 604_800


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, *, seconds: float = 0, ms: int = 0) -> None:
        self.now += int(seconds * 1000) + ms


class Recorder(Telemetry):
    """Telemetry that keeps its lines."""

    def __init__(self) -> None:
        super().__init__("test", "DEBUG")
        self.lines: list[dict[str, Any]] = []

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.lines.append({"level": level, "event": event, **fields})

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


@dataclass
class Fault:
    """Makes calls of one operation fail. `done`: the call took effect and only its answer is lost."""

    operation: str
    done: bool = False
    times: int = 1
    skip: int = 0

    def hits(self, operation: str) -> bool:
        if operation != self.operation or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Faulty:
    """Counts calls and lets them fail as told; `before` and `after` are called around each step's effect."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None

    def _step(self, operation: str, effect: Callable[[], Any]) -> Any:
        self.before(operation)
        fault = next((fault for fault in self.faults if fault.hits(operation)), None)
        if fault is not None and not fault.done:
            raise Unavailable(f"injected: {operation}")
        answer = effect()
        self.after(operation)
        if fault is not None:
            raise Unavailable(f"injected: the answer of {operation} was lost")
        return answer


class FakeTable(Faulty):
    """`RequestTable` in memory. `log` has every update that applied, with the record before and after it."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, dict[str, Value]] = {}
        self.log: list[tuple[Update, Record, Record]] = []
        self.applying: Update | None = None

    def put(self, record: Record) -> None:
        """Put a record in its place, whatever was there."""
        self.items[record.request_id] = _item(record)

    def record(self, request_id: str) -> Record:
        return _record(self.items[request_id])

    def create(self, record: Record) -> Record | None:
        self.calls.append("create")
        return self._step("create", lambda: self._create(record))

    def _create(self, record: Record) -> Record | None:
        existing = self.items.get(record.request_id)
        if existing is not None and int(existing["delete_at"]) > record.submitted_at // 1000:
            standing = _record(existing)
            return None if standing == record else standing
        self.put(record)
        return None

    def discard(self, record: Record) -> bool:
        self.calls.append("discard")
        return self._step("discard", lambda: self._discard(record))

    def _discard(self, record: Record) -> bool:
        item = self.items.get(record.request_id)
        if item is None:
            return True
        same = all(item.get(name) == getattr(record, name) for name in ("submitted_at", "submit_until", "submit_id"))
        if item["status"] == Status.PENDING and item["attempts"] == 0 and same:
            del self.items[record.request_id]
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

    def open_request_ids(self, submitted_before: int, first_shard: int = 0) -> Iterator[str]:
        self.calls.append("open_request_ids")
        found = [
            ((SHARDS.index(str(item["open_shard"])) - first_shard) % len(SHARDS), int(item["submitted_at"]), request_id)
            for request_id, item in self.items.items()
            if "open_shard" in item and int(item["submitted_at"]) < submitted_before
        ]
        yield from self._step("open_request_ids", lambda: [request_id for _, _, request_id in sorted(found)])

    def failed_with_input(self) -> Iterator[Record]:
        yield from [_record(i) for i in self.items.values() if i["status"] == Status.FAILED and "input" in i]

    def apply(self, updates: Sequence[Update]) -> list[Written]:
        together = sum(not update.increments for update in updates)
        singles = len(updates) - together
        self.calls += ["apply"] * (singles + (together + 24) // 25)
        written: list[Written] = []
        for update in updates:
            self.applying = update
            try:
                written.append(self._step("apply", lambda update=update: self._apply(update)))
            except Unavailable as error:
                written.append(error)
        return written

    def _apply(self, update: Update) -> Written:
        item = self.items.get(update.request_id)
        if item is None:
            return Refusal(None)
        if not holds(update.condition, item, update.values):
            return Refusal(_record(item))
        before = _record(item)
        changed = dict(item) | {name: _plain(value) for name, value in update.sets.items()}
        for name, amount in update.increments.items():
            changed[name] = int(item[name]) + amount
        for name in update.removes:
            changed.pop(name, None)
        self.items[update.request_id] = changed
        self.log.append((update, before, _record(changed)))
        return Applied(_record(changed))


_FIELDS = [field.name for field in fields(Record)]


def _plain(value: Value) -> Value:
    return str(value) if isinstance(value, str) else value


def _item(record: Record) -> dict[str, Value]:
    item = {name: value for name in _FIELDS if (value := getattr(record, name)) not in (None, False) or value == 0}
    item = {name: _plain(value) for name, value in item.items() if value is not False}
    if record.status in (Status.PENDING, Status.RUNNING):
        item["open_shard"] = record.request_id[0]
    return item


def _record(item: Mapping[str, Value]) -> Record:
    known: dict[str, Any] = {name: value for name, value in item.items() if name in _FIELDS}
    return Record(**known | {"status": Status(known["status"])})


# Conditions

_TOKEN = re.compile(r"\s*(missing\[\w+\]|\[\w+\]|:\w+|AND\b|OR\b|<=|>=|=|<|>|\(|\))")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def tokens_of(condition: str) -> list[str]:
    """The tokens of a condition.

    Raises:
        ValueError: it has something else in it.
    """
    found, at = [], 0
    while at < len(condition.rstrip()):
        match = _TOKEN.match(condition, at)
        if match is None:
            raise ValueError(f"not a condition from here: {condition[at:]!r}")
        found.append(match[1])
        at = match.end()
    return found


def holds(condition: str, item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    """Whether a condition holds for an item. As in DynamoDB, a comparison with a missing attribute is false."""
    tokens = tokens_of(condition)
    result = _either(tokens, item, values)
    if tokens:
        raise ValueError(f"left over: {tokens}")
    return result


def _either(tokens: list[str], item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    result = _both(tokens, item, values)
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        result = _both(tokens, item, values) or result
    return result


def _both(tokens: list[str], item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    result = _one(tokens, item, values)
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        result = _one(tokens, item, values) and result
    return result


def _one(tokens: list[str], item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    token = tokens.pop(0)
    if token == "(":
        result = _either(tokens, item, values)
        assert tokens.pop(0) == ")"
        return result
    if token.startswith("missing"):
        return token[8:-1] not in item
    left, compare, right = (token, tokens.pop(0), tokens.pop(0))
    operands = [item.get(name[1:-1]) if name[0] == "[" else _plain(values[name[1:]]) for name in (left, right)]
    if None in operands or type(operands[0]) is not type(operands[1]):
        return False
    return _COMPARE[compare](*operands)


# Queues


@dataclass
class Held:
    """A message on a fake queue."""

    message_id: str
    body: str
    visible_at: int
    receive_count: int = 0


class FakeQueue(Faulty):
    """A request queue, with the consumer's side that SQS and Lambda's mapping play.

    Like SQS: a received message is hidden for a while, comes back unless deleted, and dies after `max_receives`.
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
        self.messages: dict[str, Held] = {}
        self.dead: list[str] = []
        self.shown: list[dict[str, int]] = []

    def send(self, message: Message) -> None:
        self.calls.append("send")
        self._step("send", lambda: self.put(message.to_body()))

    def put(self, body: str) -> None:
        name = f"m{next(self._ids)}"
        self.messages[name] = Held(name, body, self._clock())

    def show_again(self, delays: Mapping[str, int]) -> Sequence[str]:
        if delays:
            self.calls += ["show_again"] * ((len(delays) + 9) // 10)
        try:
            return self._step("show_again", lambda: self._show_again(delays))
        except Unavailable:
            return list(delays)

    def _show_again(self, delays: Mapping[str, int]) -> Sequence[str]:
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

    def receive(self, most: int = 10) -> list[dict[str, Any]]:
        """What the mapping would hand to a worker now, as records of an SQS event."""
        records = []
        for held in list(self.messages.values()):
            if held.visible_at > self._clock() or len(records) == most:
                continue
            if held.receive_count >= self._max_receives:
                del self.messages[held.message_id]
                self.dead.append(held.body)
                if self._dead_letters is not None:
                    self._dead_letters.put(held.body)
                continue
            held.receive_count += 1
            held.visible_at = self._clock() + self._visibility * 1000
            records.append(sqs_record(held.message_id, held.body, held.receive_count))
        return records

    def settle(self, records: Sequence[Mapping[str, Any]], failed: Sequence[str]) -> None:
        """What the mapping does after an invocation that returned: delete what did not fail."""
        for record in records:
            if record["messageId"] not in failed:
                self.messages.pop(record["messageId"], None)


def sqs_record(message_id: str, body: str, receive_count: int = 1) -> dict[str, Any]:
    """A record of an SQS event, as far as anything reads it."""
    return {
        "messageId": message_id,
        "receiptHandle": f"{message_id}/{receive_count}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receive_count)},
    }


# Things that most tests need


def a_record(request_id: str = "a1", **changes: Any) -> Record:
    """A pending record, submitted now."""
    known: dict[str, Any] = {
        "request_id": request_id,
        "status": Status.PENDING,
        "model": "echo",
        "caller": "anonymous",
        "submitted_at": NOW,
        "expires_at": NOW + DEADLINE * 1000,
        "delete_at": NOW // 1000 + DEADLINE + RETENTION,
        "attempt_limit": 5,
    }
    return Record(**known | changes)


def a_message(record: Record, value: Any = None) -> Message:
    """The message of a record."""
    value = {"text": "fine"} if value is None else value
    return Message(record.request_id, record.model, value, record.submitted_at, record.expires_at, record.attempt_limit)


def validate_text(value: Any) -> Any:
    """A model's validator: an object with a `text` that is not empty, and a default."""
    if not isinstance(value, dict):
        raise InvalidInput("data must be object")
    if not isinstance(value.get("text"), str) or not value["text"]:
        raise InvalidInput("data.text must be longer than or equal to 1 characters")
    value.setdefault("threshold", 0.5)
    return value


def a_catalog() -> Catalog:
    """Two models."""
    models = {"echo": "echo", "other": "echo"}
    return Catalog(models, "echo", {"echo": "1.0.0"}, lambda _: validate_text)


def body_of(response: Mapping[str, Any]) -> Any:
    return json.loads(response["body"])


def updates_by_move(record: Record, clock: Clock) -> dict[Move, list[Update]]:
    """Every move as an update for a record, made so that only the status can be in its way."""
    moves, name, failure = Moves(clock), record.request_id, Failure(ErrorCode.CRASHED, "died", 1)
    lease = clock.now + 33_000
    return {
        Move.CLAIM: [
            moves.claim_first(name, record.submitted_at, lease),
            moves.claim(name, record.submitted_at, lease),
        ],
        Move.TAKE_OVER: [moves.take_over(name, record.submitted_at, lease)],
        Move.RELEASE: [moves.release(name, record.attempts, failure, alone=alone) for alone in (True, False)],
        Move.SUCCEED: [moves.succeed(name, record.attempts, "{}")],
        Move.FAIL: [moves.fail(name, record.attempts, failure, kept) for kept in (None, "1")],
        Move.CANCEL: [moves.cancel(name)],
        Move.EXPIRE: [moves.expire(name)],
        Move.BURY: [moves.bury(name, failure), moves.bury_lost(record, failure)],
        Move.REPLAY: [moves.replay(record, NOW * 2, NOW, 5)],
    }
