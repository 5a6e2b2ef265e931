"""What most tests need: a record, its message, a catalog of two models, and every move as an update."""

from __future__ import annotations

from typing import Any

from inference.catalog import Catalog, InvalidInput
from inference.expressions import Update
from inference.moves import Moves
from inference.requests import ErrorCode, Failure, Message, Move, Record, Status
from tests.unit.fakes import NOW, Clock

DEADLINE = 86_400
RETENTION = 604_800


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
