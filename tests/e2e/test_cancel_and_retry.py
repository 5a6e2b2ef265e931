"""What a client may do twice or take back: a submit with an Idempotency-Key, and a cancel."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from inference.requests import Status
from tests.e2e.control import Control
from tests.e2e.http_client import Api, Response
from tests.e2e.waiting import eventually

MODEL = "deliveries"
CLIENTS = 20
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def _input(work_ms: int = 0) -> dict[str, Any]:
    return {"text": f"take back {uuid.uuid4()}", "work_ms": work_ms}


def _cancel(api: Api, request_id: str) -> Response:
    return api.call("POST", f"/cancel/{request_id}", b"")


def _computed(control: Control, value: dict[str, Any]) -> int:
    return len(control.events(f"worker/{MODEL}", "computed", value["text"]))


def test_twenty_submits_with_one_key_make_one_request(api: Api, control: Control) -> None:
    value, key = _input(), str(uuid.uuid4())
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda _: api.submit(value, MODEL, idempotency_key=key), range(CLIENTS)))
    assert {answer.status for answer in answers} == {202}
    (request_id,) = {answer.body["request_id"] for answer in answers}
    outcome = api.outcome(request_id)
    assert (outcome["status"], outcome["attempts"]) == ("succeeded", 1)
    control.drained(MODEL)
    assert _computed(control, value) == 1
    pages = control.dynamodb.get_paginator("scan").paginate(TableName=control.table_name)
    assert sum(item["request_id"]["S"] == request_id for page in pages for item in page["Items"]) == 1


def test_a_key_answers_like_the_first_time_and_rejects_another_input(api: Api) -> None:
    value, key = _input(), str(uuid.uuid4())
    first = api.submit(value, MODEL, idempotency_key=key)
    assert first.status == 202
    api.outcome(first.body["request_id"])
    again = api.submit(value, MODEL, idempotency_key=key)
    assert (again.status, again.body) == (202, first.body)
    other = api.submit(_input(), MODEL, idempotency_key=key)
    assert (other.status, other.body["request_id"]) == (422, first.body["request_id"])
    assert api.submit(value, "wordcount", idempotency_key=key).status == 422


def test_a_pending_request_is_cancelled_at_once_and_never_computed(api: Api, control: Control) -> None:
    value = _input()
    with control.paused(MODEL):
        request_id = api.accepted(value, model=MODEL)
        first = _cancel(api, request_id)
        assert (first.status, first.body["status"]) == (200, "cancelled")
        again = _cancel(api, request_id)
        assert (again.status, again.body) == (200, first.body)
    control.drained(MODEL)
    assert api.status(request_id).body == first.body
    assert first.body["attempts"] == 0
    assert _computed(control, value) == 0


def test_the_result_of_a_request_that_was_cancelled_while_it_ran_is_dropped(api: Api, control: Control) -> None:
    value = _input(work_ms=1500)
    request_id = api.accepted(value, model=MODEL)
    eventually("it runs", 20, lambda: api.status(request_id).body["status"] == "running")
    cancelled = _cancel(api, request_id)
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    eventually("its result was dropped", 20, lambda: control.events(f"worker/{MODEL}", "outcome_dropped", request_id))
    control.drained(MODEL)
    assert _computed(control, value) == 1
    assert api.status(request_id).body == cancelled.body
    assert cancelled.body["result"] is None
    assert control.record(request_id).result is None


def test_what_is_final_cannot_be_cancelled(api: Api, control: Control) -> None:
    request_id = api.accepted(_input(), model=MODEL)
    outcome = api.outcome(request_id)
    rejected = _cancel(api, request_id)
    assert rejected.status == 409
    assert "succeeded" in rejected.body["detail"]
    assert api.status(request_id).body == outcome
    assert control.record(request_id).status is Status.SUCCEEDED


def test_nobody_cancels_what_is_not_there(api: Api) -> None:
    assert _cancel(api, UNKNOWN).status == 404
