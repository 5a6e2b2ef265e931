"""SQS delivers at least once, in any order, at any time, and anything: the outcome is written once."""

from __future__ import annotations

import collections
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from inference import transitions
from inference.http.messages import ANONYMOUS
from inference.requests import CREATED_LATE_MS, Message, Record, Status
from inference.store.request_table import Applied
from inference.sweep import SETTLE_MS
from tests.e2e.control import Control
from tests.e2e.http_client import Api
from tests.e2e.test_faults import right_answer
from tests.e2e.waiting import eventually

MODEL = "deliveries"
SENDERS = 8
SEED = 20_261_124


def _text(what: str) -> str:
    return f"{what} {uuid.uuid4()}"


def _input(text: str, work_ms: int = 0) -> dict[str, Any]:
    return {"text": text, "work_ms": work_ms}


def _computed(control: Control, text: str) -> int:
    """How often the model has predicted a text."""
    return len(control.events(f"worker/{MODEL}", "computed", text))


def test_copies_at_the_same_time_and_out_of_order_are_computed_once(api: Api, control: Control) -> None:
    chosen = random.Random(SEED)
    inputs = [_input(_text(f"copy {number}"), work_ms=60) for number in range(24)]
    with control.paused(MODEL):
        ids = [api.accepted(value, model=MODEL) for value in inputs]
        bodies = [control.message(*pair) for pair in zip(ids, inputs, strict=True)]
        # Its own message is one; so each is there two to five times.
        copies = [body for body in bodies for _ in range(chosen.randint(1, 4))]
        chosen.shuffle(copies)
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(lambda body: control.send(MODEL, body), copies))
    outcomes = [api.outcome(request_id) for request_id in ids]
    assert collections.Counter(outcome["status"] for outcome in outcomes) == {"succeeded": len(ids)}
    assert [outcome["result"] for outcome in outcomes] == [right_answer(value["text"]) for value in inputs]
    assert {outcome["attempts"] for outcome in outcomes} == {1}
    control.drained(MODEL)
    assert {_computed(control, value["text"]) for value in inputs} == {1}
    assert [api.status(request_id).body for request_id in ids] == outcomes


def test_a_copy_of_what_is_at_work_waits_and_harms_nothing(api: Api, control: Control) -> None:
    value = _input(_text("slow"), work_ms=1500)
    request_id = api.accepted(value, model=MODEL)
    eventually("it runs", 20, lambda: api.status(request_id).body["status"] == "running")
    control.send(MODEL, control.message(request_id, value))
    eventually(
        "the copy met the lease",
        20,
        lambda: [
            line for line in control.events(f"worker/{MODEL}", "message_returned", request_id) if line["seconds"] >= 1
        ],
    )
    outcome = api.outcome(request_id)
    assert (outcome["status"], outcome["attempts"]) == ("succeeded", 1)
    control.drained(MODEL)
    assert api.status(request_id).body == outcome


def test_a_copy_long_after_the_end_changes_nothing(api: Api, control: Control) -> None:
    value = _input(_text("late"))
    request_id = api.accepted(value, model=MODEL)
    outcome = api.outcome(request_id)
    control.drained(MODEL)
    before = control.record(request_id)
    control.send(MODEL, control.message(request_id, value))
    eventually("the copy was dropped", 20, lambda: control.events(f"worker/{MODEL}", "message_dropped", request_id))
    control.drained(MODEL)
    assert control.record(request_id) == before
    assert api.status(request_id).body == outcome
    assert _computed(control, value["text"]) == 1


def test_a_message_after_its_requests_deadline_is_not_computed(api: Api, control: Control) -> None:
    value = _input(_text("too late"))
    with control.paused(MODEL):
        request_id = api.accepted(value, model=MODEL)
        _change(control, request_id, expires_at=int(time.time() * 1000) - 1)
        assert api.status(request_id).body["status"] == "expired"  # before anybody has written it
    eventually("written as expired", 30, lambda: control.record(request_id).status is Status.EXPIRED)
    control.drained(MODEL)
    assert api.outcome(request_id)["attempts"] == 0
    assert _computed(control, value["text"]) == 0
    assert request_id not in control.open_ids()


def test_a_message_of_no_record_is_dropped(control: Control) -> None:
    now = int(time.time() * 1000)
    unknown = str(uuid.uuid4())
    control.send(MODEL, Message(unknown, MODEL, _input("x"), now, now + 60_000, 3).to_body())
    eventually("it was dropped", 20, lambda: control.events(f"worker/{MODEL}", "message_dropped", unknown))
    control.drained(MODEL)
    assert control.table.get(unknown, consistent=True) is None


def test_an_unreadable_body_never_blocks_its_batch(api: Api, control: Control) -> None:
    mark = f"no JSON {uuid.uuid4()}"
    inputs = [_input(_text("beside nonsense")) for _ in range(9)]
    with control.paused(MODEL):
        ids = [api.accepted(value, model=MODEL) for value in inputs[:5]]
        control.send(MODEL, mark)
        ids += [api.accepted(value, model=MODEL) for value in inputs[5:]]
    outcomes = [api.outcome(request_id) for request_id in ids]
    assert {(outcome["status"], outcome["attempts"]) for outcome in outcomes} == {("succeeded", 1)}
    recorded = eventually(
        "the dead_letters function saw it", 60, lambda: control.events("dead_letters", "message_unreadable", mark)
    )
    assert recorded[0]["body"] == mark
    control.drained(MODEL)


def test_a_request_whose_message_is_unreadable_fails_and_says_so(api: Api, control: Control) -> None:
    record = _put(control, age_seconds=0)
    control.send(MODEL, '{"request_id": "%s", "model": 5}' % record.request_id)  # noqa: UP031 (braces)
    outcome = api.outcome(record.request_id, 60)
    assert (outcome["status"], outcome["error"]["code"]) == ("failed", "unreadable")
    control.drained(MODEL)


def test_a_record_that_never_got_its_message_is_swept(api: Api, control: Control) -> None:
    """The crash between the two writes of the submit."""
    lost, young = _put(control, age_seconds=3600), _put(control, age_seconds=0)
    control.drained(MODEL)
    control.invoke("sweeper")
    marked = control.record(lost.request_id)
    assert (marked.status, marked.possibly_lost_at is not None) == (Status.PENDING, True), "one look is not enough"
    a_minute_ago = int(time.time() * 1000) - SETTLE_MS
    _change(control, lost.request_id, possibly_lost_at=a_minute_ago)
    control.invoke("sweeper")
    outcome = api.outcome(lost.request_id, 5)
    assert (outcome["status"], outcome["error"]["code"]) == ("failed", "lost")
    assert "Send the request again" in outcome["error"]["message"]
    assert control.record(young.request_id).status is Status.PENDING
    _change(control, young.request_id, submitted_at=lost.submitted_at, possibly_lost_at=a_minute_ago)
    _follow(control, young.request_id)
    control.invoke("sweeper")
    assert control.record(young.request_id).status is Status.FAILED


def test_a_request_whose_message_is_still_queued_is_not_swept(api: Api, control: Control) -> None:
    value = _input(_text("waiting"))
    with control.paused(MODEL):
        request_id = api.accepted(value, model=MODEL)
        old = control.record(request_id).submitted_at - 3_600_000
        _change(control, request_id, submitted_at=old)
        _follow(control, request_id)
        control.invoke("sweeper")
        assert control.record(request_id).status is Status.PENDING
        control.send(MODEL, control.message(request_id, value))
    assert api.outcome(request_id)["status"] == "succeeded"
    control.drained(MODEL)


def _follow(control: Control, request_id: str) -> None:
    """As a sweep does with what is not final when it passes: it has passed the time that a test gave the request."""
    assert isinstance(control.table.apply([transitions.follow(request_id)])[0], Applied)


def _put(control: Control, age_seconds: int) -> Record:
    """A pending record without a message."""
    now = int(time.time() * 1000)
    submitted_at = now - age_seconds * 1000
    record = Record(
        request_id=str(uuid.uuid4()),
        status=Status.PENDING,
        model=MODEL,
        caller=ANONYMOUS,
        submitted_at=submitted_at,
        expires_at=now + 3_600_000,
        delete_at=now // 1000 + 86_400,
        attempt_limit=3,
        # If it is old, sweeps of this deployment have passed the time of its submit.
        resubmitted_at=submitted_at + CREATED_LATE_MS + 1 if age_seconds else None,
    )
    assert control.table.create(record) is None
    return record


def _change(control: Control, request_id: str, **numbers: int) -> None:
    """Edit a record behind everybody's back."""
    control.dynamodb.update_item(
        TableName=control.table_name,
        Key={"request_id": {"S": request_id}},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in numbers),
        ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in numbers.items()},
    )
