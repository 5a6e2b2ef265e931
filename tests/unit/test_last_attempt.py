"""What a neighbour that kills the worker must not take away: a request's last attempt, and its receives."""

from __future__ import annotations

import pytest

from inference.requests import Message, Record, Status
from tests.unit.fake_bucket import FakeBucket
from tests.unit.fake_queue import FakeQueue, sqs_record
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, ReadyModel, Recorder
from tests.unit.samples import a_record
from worker.batch import Worker
from worker.claims import Claimer, DeferredDelivery
from worker.delivery import Delivery
from worker.invocation import Invocation, RetryDelay
from worker.payloads import WorkerPayloads
from worker.prediction import Prediction
from worker.verdicts import DoneReason

LIMIT = 3


def claimer_of(*records: Record) -> Claimer:
    table = FakeTable()
    for record in records:
        table.put(record)
    trace = {"invocation_id": "i", "model_version": "1", "code_digest": "sha256:1"}
    return Claimer(table, NOW + 30_000, trace, Recorder())  # type: ignore[arg-type]


def a_delivery(request_id: str, receive_count: int, limit: int = LIMIT) -> Delivery:
    record = a_record(request_id)
    message = Message(request_id, record.model, {}, record.submitted_at, record.expires_at, limit)
    return Delivery(f"h-{request_id}", receive_count, NOW, message)


@pytest.mark.parametrize(
    ("attempts", "receives", "limit", "together"),
    [(0, 1, 3, True), (1, 2, 3, True), (1, 7, 3, True), (2, 3, 3, False), (0, 1, 1, True), (0, 2, 1, False)],
)
def test_only_a_last_attempt_of_several_is_claimed_alone(
    attempts: int, receives: int, limit: int, together: bool
) -> None:
    delivery = a_delivery("a1", receives, limit)
    found = claimer_of(a_record("a1", attempts=attempts, attempt_limit=limit)).claim([delivery], NOW)
    assert [claim.delivery for claim in found.claims] == [delivery] * together
    assert found.deferred == ([] if together else [DeferredDelivery(delivery, attempts)])


def test_it_is_claimed_when_its_turn_comes() -> None:
    record = a_record("a1", attempts=2, attempt_limit=LIMIT)
    claimer = claimer_of(record)
    found = claimer.claim([a_delivery("a1", 3)], NOW)
    (claim,) = claimer.claim_alone(found.deferred[0].delivery, NOW).claims
    assert claim.attempt == 3


def test_a_late_copy_of_what_is_final_is_done_all_the_same() -> None:
    claimer = claimer_of(a_record("a1", status=Status.SUCCEEDED, attempts=1))
    ((_, verdict),) = claimer.claim([a_delivery("a1", 3)], NOW).verdicts
    assert verdict.reason is DoneReason.ALREADY_FINAL


class Order(ReadyModel):
    """A model that keeps the order in which it saw its inputs."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def predict(self, inputs: list[str]) -> list[dict[str, str]]:
        self.seen += inputs
        return [{} for _ in inputs]


def test_of_equal_ones_that_run_alone_the_one_that_sqs_gives_up_on_soonest_goes_first() -> None:
    """Else one that stands behind others uses up its receives without ever getting an attempt."""
    table, model, clock = FakeTable(), Order(), Clock()
    receives = {"a1": (2, 4), "b1": (1, 2), "c1": (1, 4), "d1": (1, 3)}
    records = []
    for request_id, (attempts, count) in receives.items():
        record = a_record(request_id, status=Status.RUNNING, attempts=attempts, lease_until=NOW - 1)
        table.put(record)
        message = Message(request_id, record.model, request_id, record.submitted_at, record.expires_at, 5)
        records.append(sqs_record(f"m-{request_id}", message.to_body(), count))
    queue, retry, log = FakeQueue(clock), RetryDelay(1, 1), Recorder()
    payloads = WorkerPayloads(FakeBucket(clock))
    predictions = {"echo": Prediction(model, lambda value: value, log, payloads)}
    worker = Worker(predictions, table, queue, retry, "sha256:1", log, payloads)  # type: ignore[arg-type]
    assert worker.process(records, Invocation("i", lambda: 30_000, clock)) == []
    assert model.seen == ["c1", "d1", "b1", "a1"]
