"""The dead end: a message in the dead-letter queue ends its request, with a reason and its input kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.burial import Undertaker
from inference.request_table import Applied
from inference.requests import Record, Status
from tests.unit.fake_queue import sqs_record
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, Fault, Recorder
from tests.unit.samples import a_message, a_record, updates_of


class Cemetery:
    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.log = Recorder()
        self.lines: list[str] = []
        self.asked: list[str] = []
        self.undertaker = Undertaker(self.table, "/aws/lambda/p-worker-", self.read, self.log)

    def read(self, group: str, text: str, since: int) -> list[str]:
        self.asked.append(group)
        return self.lines

    def bury(self, *bodies: str) -> list[str]:
        return self.undertaker.bury([sqs_record(f"m{n}", body) for n, body in enumerate(bodies, 1)], self.clock)

    def bury_record(self, record: Record, value: Any = None) -> list[str]:
        self.table.put(record)
        return self.bury(a_message(record, value).to_body())

    def error(self) -> Any:
        return json.loads(str(self.table.record("a1").error))


@pytest.fixture
def yard() -> Cemetery:
    return Cemetery()


def a_dead_one(**changes: Any) -> Record:
    known = {"status": Status.RUNNING, "attempts": 5, "lease_until": NOW - 1, "invocation_id": "i", "started_at": NOW}
    return a_record(**known | changes)


def test_a_killed_requests_end(yard: Cemetery) -> None:
    yard.lines = ["x Task timed out after 30.03 seconds"]
    assert yard.bury_record(a_dead_one(), {"text": "\ud800 kept"}) == []
    record = yard.table.record("a1")
    assert (record.status, record.finished_at, record.lease_until) == (Status.FAILED, NOW, None)
    assert yard.error()["code"] == "timeout"
    assert json.loads(str(record.input)) == {"text": "\ud800 kept"}
    assert yard.asked == ["/aws/lambda/p-worker-echo"]
    assert yard.log.events("request_buried")[0]["outcome"] == "timeout"


def test_an_undelivered_requests_end(yard: Cemetery) -> None:
    assert yard.bury_record(a_record()) == []
    assert yard.error()["code"] == "undelivered"
    assert yard.table.record("a1").input == '{"text": "fine"}'


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_a_final_request_stays_as_it_is(yard: Cemetery, status: Status) -> None:
    record = a_record(status=status)
    assert yard.bury_record(record) == []
    assert yard.table.record("a1") == record


def test_a_request_that_is_gone_needs_no_end(yard: Cemetery) -> None:
    assert yard.bury(a_message(a_record()).to_body()) == []
    assert yard.table.items == {}


def test_a_message_of_an_earlier_submit_ends_nothing(yard: Cemetery) -> None:
    yard.table.put(a_record(submitted_at=NOW + 1))
    assert yard.bury(a_message(a_record()).to_body()) == []
    assert yard.table.record("a1").status is Status.PENDING


def test_past_its_deadline_it_expires(yard: Cemetery) -> None:
    assert yard.bury_record(a_dead_one(expires_at=NOW)) == []
    assert yard.table.record("a1").status is Status.EXPIRED


def test_a_live_lease_is_waited_for(yard: Cemetery) -> None:
    assert yard.bury_record(a_dead_one(lease_until=NOW)) == ["m1"]
    assert yard.table.record("a1").status is Status.RUNNING
    yard.clock.advance(ms=1)
    assert yard.bury(a_message(a_record()).to_body()) == []
    assert yard.table.record("a1").status is Status.FAILED


def test_a_request_that_becomes_final_meanwhile_keeps_its_outcome(yard: Cemetery) -> None:
    def cancel(operation: str) -> None:
        if operation == "apply":
            yard.table.items["a1"]["status"] = "cancelled"

    yard.table.before = cancel
    assert yard.bury_record(a_dead_one()) == []
    assert yard.table.record("a1").status is Status.CANCELLED


@pytest.mark.parametrize("operation", ["get", "apply"])
@pytest.mark.parametrize("done", [False, True])
def test_when_the_table_fails_the_message_comes_again(yard: Cemetery, operation: str, done: bool) -> None:
    yard.table.put(a_dead_one())
    body = a_message(a_record()).to_body()
    yard.table.faults = [Fault(operation, done=done)]
    assert yard.bury(body) == ["m1"]
    assert yard.bury(body) == []
    assert yard.table.record("a1").status is Status.FAILED
    assert sum(after.status is Status.FAILED for _, _, after in yard.table.log) == 1


def test_one_that_fails_hurts_no_other(yard: Cemetery) -> None:
    records = [a_dead_one(request_id=name) for name in ("a1", "a2", "a3")]
    for record in records:
        yard.table.put(record)
    yard.table.faults = [Fault("get", skip=1)]
    assert yard.bury(*[a_message(record).to_body() for record in records]) == ["m2"]
    assert [yard.table.record(name).status for name in ("a1", "a2", "a3")] == ["failed", "running", "failed"]


def test_an_unreadable_message_ends_the_request_that_it_names(yard: Cemetery) -> None:
    yard.table.put(a_record())
    assert yard.bury(json.dumps({"request_id": "a1", "input": "cut off"})) == []
    record = yard.table.record("a1")
    assert (record.status, record.input) == (Status.FAILED, None)
    assert yard.error()["code"] == "unreadable"


@pytest.mark.parametrize(
    "body",
    ["x", "", "[]", "[1]", "null", "1", "[" * 200_000, *map(json.dumps, [{}, {"request_id": ""}, {"request_id": 7}])],
)
def test_an_unreadable_message_that_names_nobody_is_logged_and_gone(yard: Cemetery, body: str) -> None:
    assert yard.bury(body) == []
    (line,) = yard.log.events("message_unreadable")
    assert line["body"] == body[:2000]
    assert yard.table.calls == []


def test_an_id_that_no_table_takes_does_not_come_for_ever(yard: Cemetery) -> None:
    assert yard.bury(a_message(a_record("x" * 3000)).to_body()) == []
    assert yard.table.calls == []


def test_an_unreadable_message_of_a_running_request_waits_for_its_lease(yard: Cemetery) -> None:
    yard.table.put(a_dead_one(lease_until=NOW + 1))
    assert yard.bury('{"request_id": "a1"}') == ["m1"]
    assert yard.table.record("a1").status is Status.RUNNING


def test_what_was_buried_can_be_replayed(yard: Cemetery) -> None:
    yard.bury_record(a_dead_one())
    replay = updates_of(yard.table.record("a1"))["replay"]
    assert isinstance(yard.table.apply([replay])[0], Applied)
    assert yard.table.record("a1").input is not None
