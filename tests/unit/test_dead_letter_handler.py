"""Dead letters: a message in the dead-letter queue makes its request failed, with a reason, and its input is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.dead_letter_handler import DeadLetterHandler
from inference.requests import FINAL, Record, Status
from inference.store.request_table import Applied
from tests.unit.fake_batch_table import FakeBatchTable
from tests.unit.fake_queue import sqs_record
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, Fault, Recorder
from tests.unit.samples import a_message, a_record, updates_of


class DeadLetterHarness:
    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.batches = FakeBatchTable()
        self.log = Recorder()
        self.lines: list[str] = []
        self.asked: list[str] = []
        self.dead_letter_handler = DeadLetterHandler(
            self.table,
            self.batches,
            {"echo": "/aws/lambda/p-worker-echo"},
            self.read,
            self.log,  # type: ignore[arg-type]
        )

    def read(self, group: str, text: str, since: int) -> list[str]:
        self.asked.append(group)
        return self.lines

    def handle(self, *bodies: str) -> list[str]:
        return self.dead_letter_handler.handle(
            [sqs_record(f"m{n}", body) for n, body in enumerate(bodies, 1)], self.clock
        )

    def handle_record(self, record: Record, value: Any = None) -> list[str]:
        self.table.put(record)
        return self.handle(a_message(record, value).to_body())

    def error(self) -> Any:
        return json.loads(str(self.table.record("a1").error))


@pytest.fixture
def harness() -> DeadLetterHarness:
    return DeadLetterHarness()


def a_dead_lettered_record(**changes: Any) -> Record:
    known = {"status": Status.RUNNING, "attempts": 5, "lease_until": NOW - 1, "invocation_id": "i", "started_at": NOW}
    return a_record(**known | changes)


def test_a_killed_requests_end(harness: DeadLetterHarness) -> None:
    harness.lines = ["x Task timed out after 30.03 seconds"]
    assert harness.handle_record(a_dead_lettered_record(), {"text": "\ud800 kept"}) == []
    record = harness.table.record("a1")
    assert (record.status, record.finished_at, record.lease_until) == (Status.FAILED, NOW, None)
    assert harness.error()["code"] == "timeout"
    assert json.loads(str(record.input)) == {"text": "\ud800 kept"}
    assert harness.asked == ["/aws/lambda/p-worker-echo"]
    assert harness.log.events("dead_letter_recorded")[0]["outcome"] == "timeout"


def test_an_undelivered_requests_end(harness: DeadLetterHarness) -> None:
    assert harness.handle_record(a_record()) == []
    assert harness.error()["code"] == "undelivered"
    assert harness.table.record("a1").input == '{"text": "fine"}'


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_final_request_stays_as_it_is(harness: DeadLetterHarness, status: Status) -> None:
    record = a_record(status=status)
    assert harness.handle_record(record) == []
    assert harness.table.record("a1") == record


def test_a_request_that_is_gone_needs_no_end(harness: DeadLetterHarness) -> None:
    assert harness.handle(a_message(a_record()).to_body()) == []
    assert harness.table.items == {}


def test_a_message_of_an_earlier_submit_ends_nothing(harness: DeadLetterHarness) -> None:
    harness.table.put(a_record(submitted_at=NOW + 1))
    assert harness.handle(a_message(a_record()).to_body()) == []
    assert harness.table.record("a1").status is Status.PENDING


def test_past_its_deadline_it_expires(harness: DeadLetterHarness) -> None:
    assert harness.handle_record(a_dead_lettered_record(expires_at=NOW)) == []
    assert harness.table.record("a1").status is Status.EXPIRED


def test_a_live_lease_is_waited_for(harness: DeadLetterHarness) -> None:
    assert harness.handle_record(a_dead_lettered_record(lease_until=NOW)) == ["m1"]
    assert harness.table.record("a1").status is Status.RUNNING
    harness.clock.advance(ms=1)
    assert harness.handle(a_message(a_record()).to_body()) == []
    assert harness.table.record("a1").status is Status.FAILED


def test_a_request_that_becomes_final_meanwhile_keeps_its_outcome(harness: DeadLetterHarness) -> None:
    def cancel(operation: str) -> None:
        if operation == "apply":
            harness.table.items["a1"]["status"] = "cancelled"

    harness.table.before = cancel
    assert harness.handle_record(a_dead_lettered_record()) == []
    assert harness.table.record("a1").status is Status.CANCELLED


@pytest.mark.parametrize("operation", ["get", "apply"])
@pytest.mark.parametrize("done", [False, True])
def test_when_the_table_fails_the_message_comes_again(harness: DeadLetterHarness, operation: str, done: bool) -> None:
    harness.table.put(a_dead_lettered_record())
    body = a_message(a_record()).to_body()
    harness.table.faults = [Fault(operation, done=done)]
    assert harness.handle(body) == ["m1"]
    assert harness.handle(body) == []
    assert harness.table.record("a1").status is Status.FAILED
    assert sum(after.status is Status.FAILED for _, _, after in harness.table.log) == 1


def test_one_that_fails_hurts_no_other(harness: DeadLetterHarness) -> None:
    records = [a_dead_lettered_record(request_id=name) for name in ("a1", "a2", "a3")]
    for record in records:
        harness.table.put(record)
    harness.table.faults = [Fault("get", skip=1)]
    assert harness.handle(*[a_message(record).to_body() for record in records]) == ["m2"]
    assert [harness.table.record(name).status for name in ("a1", "a2", "a3")] == ["failed", "running", "failed"]


def test_an_unreadable_message_ends_the_request_that_it_names(harness: DeadLetterHarness) -> None:
    harness.table.put(a_record())
    assert harness.handle(json.dumps({"request_id": "a1", "input": "cut off"})) == []
    record = harness.table.record("a1")
    assert (record.status, record.input) == (Status.FAILED, None)
    assert harness.error()["code"] == "unreadable"


@pytest.mark.parametrize(
    "body",
    ["x", "", "[]", "[1]", "null", "1", "[" * 200_000, *map(json.dumps, [{}, {"request_id": ""}, {"request_id": 7}])],
)
def test_an_unreadable_message_that_names_nobody_is_logged_and_gone(harness: DeadLetterHarness, body: str) -> None:
    assert harness.handle(body) == []
    (line,) = harness.log.events("message_unreadable")
    assert line["body"] == body[:2000]
    assert harness.table.calls == []


def test_an_id_that_no_table_takes_does_not_come_for_ever(harness: DeadLetterHarness) -> None:
    assert harness.handle(a_message(a_record("x" * 3000)).to_body()) == []
    assert harness.table.calls == []


def test_an_unreadable_message_of_a_running_request_waits_for_its_lease(harness: DeadLetterHarness) -> None:
    harness.table.put(a_dead_lettered_record(lease_until=NOW + 1))
    assert harness.handle('{"request_id": "a1"}') == ["m1"]
    assert harness.table.record("a1").status is Status.RUNNING


def test_what_was_recorded_can_be_replayed(harness: DeadLetterHarness) -> None:
    harness.handle_record(a_dead_lettered_record())
    replay = updates_of(harness.table.record("a1"))["replay"]
    assert isinstance(harness.table.apply([replay])[0], Applied)
    assert harness.table.record("a1").input is not None
