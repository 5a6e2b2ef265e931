"""Removing a model: what is open on it is counted, an apply is rejected or ends it, and inputs are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from inference.requests import Status
from scripts.console import CommandError
from scripts.deployment import aws_session, removal, terraform
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock
from tests.unit.samples import a_message, a_record

URLS = {"echo": "https://sqs/echo", "kept": "https://sqs/kept"}


class Sqs:
    """SQS's operations on one fake queue."""

    def __init__(self, queue: FakeQueue) -> None:
        self.queue = queue

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int) -> dict[str, Any]:
        assert QueueUrl == URLS["echo"]
        records = self.queue.receive(MaxNumberOfMessages)
        return {"Messages": [{"Body": r["body"], "ReceiptHandle": r["receiptHandle"]} for r in records]}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        del self.queue.messages[ReceiptHandle.partition("/")[0]]


class Place:
    """A deployment with two models, of which the environment names one no longer."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.queue = FakeQueue(self.clock)

    def add(self, name: str, **changes: Any) -> None:
        record = a_record(name, **changes)
        self.table.put(record)
        self.queue.send(a_message(record, {"text": name}))

    def error(self, name: str) -> Any:
        return json.loads(str(self.table.record(name).error))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place()
    services: Mapping[str, Any] = {"dynamodb": None, "sqs": Sqs(place.queue)}
    outputs = {"queue_urls": URLS, "request_table": "t"}
    monkeypatch.delenv("REMOVE", raising=False)
    monkeypatch.setattr(terraform, "outputs", lambda environment: outputs)
    monkeypatch.setattr(aws_session, "client", lambda environment, service, outputs: services[service])
    monkeypatch.setattr(removal, "RequestTable", lambda client, name: place.table)
    monkeypatch.setattr(removal, "now_ms", place.clock)
    monkeypatch.setattr(removal.drain, "__defaults__", (120, place.clock))
    monkeypatch.setattr(removal, "POLL_SECONDS", 0)
    return place


def test_an_apply_is_rejected_while_requests_are_open(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.add("a1")
    place.add("b2", status=Status.RUNNING, lease_until=NOW + 1, attempts=1)
    place.add("c3", status=Status.SUCCEEDED)
    place.table.put(a_record("d4", model="kept"))
    with pytest.raises(CommandError, match=r"^echo would be removed from its queue with open requests.*REMOVE=echo"):
        removal.check("local", "apply", {"kept": "kept"})
    assert "echo will be removed, with 2 open requests (1 pending, 1 running)" in capsys.readouterr().err
    assert place.table.record("a1").status is Status.PENDING


def test_a_plan_only_says_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.add("a1")
    removal.check("local", "plan", {"kept": "kept"})
    assert "1 open requests (1 pending)" in capsys.readouterr().err


def test_nothing_open_nothing_rejected(place: Place) -> None:
    place.add("c3", status=Status.SUCCEEDED)
    removal.check("local", "apply", {"kept": "kept"})


def test_another_name_in_remove_is_not_enough(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.add("a1")
    monkeypatch.setenv("REMOVE", "kept, other")
    with pytest.raises(CommandError, match="echo would be removed"):
        removal.check("local", "apply", {"kept": "kept"})


def test_with_remove_what_waits_ends_and_keeps_its_input(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOVE", "echo")
    names = [f"{number % 16:x}-{number}" for number in range(23)]
    for name in names:
        place.add(name)
    place.queue.put("not a message")
    removal.check("local", "apply", {"kept": "kept"})
    for name in names:
        record = place.table.record(name)
        assert (record.status, record.input) == (Status.FAILED, json.dumps({"text": name}))
        assert place.error(name)["code"] == "model_removed"
    assert [held.body for held in place.queue.messages.values()] == ["not a message"]


def test_what_is_at_work_may_end_by_itself(place: Place) -> None:
    place.add("b2", status=Status.RUNNING, lease_until=NOW + 5_000, attempts=1)
    looks = iter([True, True, False])
    sqs = Sqs(place.queue)
    ended = removal.drain(place.table, sqs, URLS["echo"], lambda: next(looks), 120, place.clock)  # type: ignore[arg-type]
    assert (ended, place.table.record("b2").status) == (0, Status.RUNNING)
    assert len(place.queue.messages) == 1, "its message stays: the attempt may still fail"


def test_what_is_not_deployed_at_all_has_nothing_to_remove(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(environment: str) -> Any:
        raise CommandError("nothing is deployed in local")

    monkeypatch.setattr(terraform, "outputs", nothing)
    removal.check("local", "apply", {"kept": "kept"})


def test_a_model_that_moves_into_a_pool_loses_its_queue_too(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.add("a1")
    with pytest.raises(CommandError, match=r"^echo would be removed from its queue"):
        removal.check("local", "apply", {"echo": "pool", "kept": "kept"})
    assert "echo will get another queue, with 1 open requests" in capsys.readouterr().err


def test_the_queue_of_a_pool_that_has_other_models_is_not_drained(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Receiving from it would use up receives of the others' messages."""
    place.add("a1")
    monkeypatch.setenv("REMOVE", "echo")
    removal.check("local", "apply", {"kept": "kept", "other": "echo"})
    assert place.table.record("a1").status is Status.PENDING
    assert place.queue.messages["m1"].receive_count == 0
    assert "its pool's queue stays" in capsys.readouterr().err
