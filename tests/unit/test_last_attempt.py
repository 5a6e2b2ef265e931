"""A request's last attempt is its own: a neighbour that kills the worker must not take it away."""

from __future__ import annotations

import pytest

from inference.requests import Message, Record, Status
from tests.unit.fakes import NOW, Clock, FakeTable, Recorder, a_record
from worker.claims import Claimer
from worker.delivery import Delivery

LIMIT = 3


def claimer_of(*records: Record) -> Claimer:
    table = FakeTable()
    for record in records:
        table.put(record)
    return Claimer(table, Recorder(), Clock(), NOW + 30_000, {"invocation_id": "i", "model_version": "1"})  # type: ignore[arg-type]


def a_delivery(request_id: str, receive_count: int, limit: int = LIMIT) -> Delivery:
    record = a_record(request_id)
    message = Message(request_id, record.model, {}, record.submitted_at, record.expires_at, limit)
    return Delivery(f"m-{request_id}", f"h-{request_id}", receive_count, message)


@pytest.mark.parametrize(
    ("receives", "limit", "together"),
    [(1, 3, True), (2, 3, True), (3, 3, False), (4, 3, False), (1, 1, True), (2, 1, False)],
)
def test_only_what_may_be_its_last_attempt_waits_to_be_claimed_alone(receives: int, limit: int, together: bool) -> None:
    before = a_record("a1", attempts=receives - 1, attempt_limit=limit + 1)
    delivery = a_delivery("a1", receives, limit)
    found = claimer_of(before).claim([delivery])
    assert [claim.delivery for claim in found.claimed] == [delivery] * together
    assert found.suspects == ([] if together else [(receives - 1, delivery)])


def test_it_is_claimed_when_its_turn_comes() -> None:
    record = a_record("a1", attempts=2, attempt_limit=LIMIT)
    claimer = claimer_of(record)
    found = claimer.claim([a_delivery("a1", 3)])
    (claim,) = claimer.take_over(found.suspects[0][1]).claimed
    assert claim.attempt == 3


def test_a_late_copy_of_what_is_final_is_dropped_all_the_same() -> None:
    claimer = claimer_of(a_record("a1", status=Status.SUCCEEDED, attempts=1))
    found = claimer.claim([a_delivery("a1", 3)])
    assert len(claimer.take_over(found.suspects[0][1]).dropped) == 1
