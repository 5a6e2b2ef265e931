"""A batch's way through the worker when nothing is wrong: calls, lease, chunks, what is logged."""

from __future__ import annotations

import json

from inference.requests import Record, Status
from scripts.stack_defaults import CODE_DIGEST
from tests.events import golden
from tests.unit.fakes import NOW
from tests.unit.samples import a_record
from tests.unit.worker_harness import LEASE_SECONDS, REMAINING, WorkerHarness
from worker.message_loop import LEASE_MARGIN_MS
from worker.model.errors import InputError


def test_a_batch_is_one_pass_and_three_calls(harness: WorkerHarness) -> None:
    ids = harness.add(*"abcdefghij")
    assert harness.run() == []
    assert harness.statuses() == ["succeeded"] * 10
    assert harness.model.passes == [list("abcdefghij")]
    assert len(harness.table.calls) + len(harness.queue.calls) == 3
    assert harness.queue.messages == {}
    record = harness.table.record(ids[3])
    assert json.loads(str(record.result)) == {"echo": "d", "threshold": 0.5}
    assert (record.attempts, record.model_version, record.started_at, record.finished_at) == (1, "1.0.0", NOW, NOW)
    assert (record.invocation_id, record.lease_until, record.error) == ("i1", None, None)
    assert record.code_digest == CODE_DIGEST


def test_the_golden_event_of_ten() -> None:
    harness = WorkerHarness()
    records = golden("sqs_10")["Records"]
    for record in records:
        fields = json.loads(record["body"])
        del fields["input"]
        harness.table.put(a_record(**fields))
    harness.predictions["sentiment"] = harness.predictions["echo"]
    assert harness.process(records) == []
    assert harness.statuses() == ["succeeded"] * 10


def test_a_lease_covers_the_invocation_and_a_margin(harness: WorkerHarness) -> None:
    (name,) = harness.add("a")
    seen: list[Record] = []
    harness.model.reactions["a"] = lambda: seen.append(harness.table.record(name))
    harness.run()
    assert (seen[0].status, seen[0].lease_until) == (Status.RUNNING, NOW + REMAINING + LEASE_MARGIN_MS)


def test_messages_come_back_when_the_lease_ends_should_the_worker_die(harness: WorkerHarness) -> None:
    harness.add("a", "b")
    harness.run()
    (first, *_) = harness.queue.shown
    assert set(first.values()) == {LEASE_SECONDS}
    assert len(first) == 2


def test_more_messages_than_the_models_batch_are_several_passes(harness: WorkerHarness) -> None:
    harness.model.batch_size = 4
    harness.add(*"abcdefghij")
    assert harness.run() == []
    assert harness.model.passes == [list("abcd"), list("efgh"), list("ij")]
    assert harness.statuses() == ["succeeded"] * 10


def test_what_is_logged(harness: WorkerHarness) -> None:
    ids = harness.add("a", "b")
    harness.run()
    (line,) = [line for line in harness.log.lines if line["level"] != "DEBUG"]
    assert (line["event"], line["request_ids"]) == ("requests_succeeded", ids)
    assert (line["batch"], line["oldest_ms"]) == (2, 0)
    finished = harness.log.events("request_finished")
    assert [line["request_id"] for line in finished] == ids
    assert all(line["status"] == "succeeded" and line["batch"] == 2 and line["age_ms"] == 0 for line in finished)
    (done,) = harness.log.events("batch_finished")
    assert (done["messages"], done["succeeded"]) == (2, 2)


def test_each_request_that_does_not_succeed_has_a_line_of_its_own(harness: WorkerHarness) -> None:
    harness.model.reactions["bad"] = InputError("too bad")
    good, bad = harness.add("good", "bad")
    harness.run()
    (together,) = harness.log.events("requests_succeeded")
    assert together["request_ids"] == [good]
    failed = [line for line in harness.log.events("request_finished") if line["level"] == "INFO"]
    assert [(line["request_id"], line["status"]) for line in failed] == [(bad, "failed")]
    (done,) = harness.log.events("batch_finished")
    assert (done["level"], done["succeeded"], done["failed"]) == ("INFO", 1, 1)
