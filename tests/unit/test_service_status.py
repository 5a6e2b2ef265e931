"""Status: whose request is found, what is shown of it, and when to ask again."""

from __future__ import annotations

import json

import pytest

from inference.description import describe, poll_after
from inference.errors import UnknownRequest
from inference.requests import FINAL, ErrorCode, Failure, Record, Status, WebhookState
from inference.run_times import RunTime
from tests.unit.api_harness import YOU, Api
from tests.unit.fakes import NOW
from tests.unit.samples import DEADLINE, RETENTION, WEBHOOK_URL, a_record, with_webhook


def test_the_status_of_a_request(api: Api) -> None:
    record = api.submit()
    assert api.status(record.request_id) == record


def test_another_callers_request_is_unknown_like_no_request(api: Api) -> None:
    record = api.submit(caller=YOU)
    details = []
    for request_id in (record.request_id, "6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"):
        with pytest.raises(UnknownRequest) as error:
            api.status(request_id)
        details.append((str(error.value), error.value.facts))
    assert details[0] == details[1]


@pytest.mark.parametrize("request_id", ["", "x" * 65, "x" * 5000, "\ud800", "ü"])
def test_what_cannot_be_an_id_is_unknown_without_a_look(api: Api, request_id: str) -> None:
    with pytest.raises(UnknownRequest):
        api.status(request_id)
    assert api.table.calls == []


@pytest.mark.parametrize(("seconds", "there"), [(DEADLINE + RETENTION - 1, True), (DEADLINE + RETENTION, False)])
def test_a_record_past_its_retention_is_unknown_before_it_is_deleted(api: Api, seconds: int, there: bool) -> None:
    record = api.submit()
    api.clock.advance(seconds=seconds)
    if there:
        assert api.status(record.request_id)
    else:
        with pytest.raises(UnknownRequest):
            api.status(record.request_id)


def test_a_read_that_misses_is_repeated_consistently(api: Api) -> None:
    record = api.submit()
    real, asked = api.table.get, []

    def stale(request_id: str, consistent: bool = False) -> Record | None:
        asked.append(consistent)
        return real(request_id) if consistent else None

    api.table.get = stale  # type: ignore[method-assign]
    assert api.status(record.request_id) == record
    assert asked == [False, True]


def test_an_unswept_request_is_shown_as_expired(api: Api) -> None:
    record = api.submit()
    shown = describe(record, NOW + DEADLINE * 1000)
    assert shown["status"] == "expired"
    assert poll_after(record, NOW + DEADLINE * 1000) is None


def test_a_webhook_is_shown_with_its_attempts() -> None:
    record = with_webhook(
        a_record(status=Status.SUCCEEDED, finished_at=NOW),
        webhook_state=WebhookState.RETRYING,
        webhook_retry_at=NOW + 5,
        webhook_log='[{"attempt": 1}]',
    )
    assert describe(record, NOW)["webhook"] == {
        "url": WEBHOOK_URL,
        "state": "retrying",
        "attempts": [{"attempt": 1}],
        "next_attempt_at": "2027-01-15T08:00:00.005Z",
    }
    delivered = record._replace(webhook_state=WebhookState.DELIVERED)
    assert describe(delivered, NOW)["webhook"]["next_attempt_at"] is None


def test_everything_that_is_shown() -> None:
    record = a_record(
        status=Status.SUCCEEDED,
        attempts=2,
        model_version="1.0.0",
        code_digest="sha256:c",
        started_at=NOW + 5,
        finished_at=NOW + 1_234,
        result='{"confidence": 0.25}',
    )
    assert json.loads(json.dumps(describe(record, NOW))) == {
        "request_id": "a1",
        "status": "succeeded",
        "model": "echo",
        "model_version": "1.0.0",
        "code_digest": "sha256:c",
        "result": {"confidence": 0.25},
        "error": None,
        "files": [],
        "attempts": 2,
        "progress": None,
        "submitted_at": "2027-01-15T08:00:00.000Z",
        "started_at": "2027-01-15T08:00:00.005Z",
        "finished_at": "2027-01-15T08:00:01.234Z",
        "expires_at": "2027-01-16T08:00:00.000Z",
        "webhook": None,
        "batch_id": None,
    }


def test_an_error_is_shown_as_json() -> None:
    error = Failure(ErrorCode.TIMEOUT, "slow", 3).to_json()
    shown = describe(a_record(status=Status.FAILED, error=error), NOW)
    assert shown["error"] == {"code": "timeout", "message": "slow", "attempt": 3}


@pytest.mark.parametrize(("age", "wait"), [(0, 1), (7, 1), (8, 2), (40, 10), (120, 30), (80_000, 30)])
def test_when_to_ask_again(age: int, wait: int) -> None:
    assert poll_after(a_record(), NOW + age * 1000) == wait


USUAL = RunTime(run_ms=3_000, total_ms=20_000)


@pytest.mark.parametrize(
    ("age_ms", "wait"), [(0, 20), (18_500, 2), (19_999, 1), (20_000, 1), (40_000, 5), (80_000, 15), (900_000, 30)]
)
def test_when_to_ask_again_if_the_model_usually_takes_20_s(age_ms: int, wait: int) -> None:
    assert poll_after(a_record(), NOW + age_ms, USUAL) == wait


@pytest.mark.parametrize(("age_ms", "wait"), [(60_000, 3), (62_500, 1), (63_000, 1), (71_000, 2)])
def test_when_to_ask_again_if_it_runs(age_ms: int, wait: int) -> None:
    record = a_record(status=Status.RUNNING, attempts=1, started_at=NOW + 60_000, lease_until=NOW + 600_000)
    assert poll_after(record, NOW + age_ms, USUAL) == wait


def test_a_slow_model_is_asked_for_again_after_the_longest_pause() -> None:
    assert poll_after(a_record(), NOW, RunTime(run_ms=1, total_ms=600_000)) == 30


def test_polls_teach_the_service_when_to_ask_again(api: Api) -> None:
    for _ in range(3):
        record = api.submit()
        assert api.service.poll_after(record, api.clock()) == 1
        api.clock.advance(seconds=5)
        api.claim(record)
        api.clock.advance(seconds=4)
        api.succeed(record.request_id)
        api.status(record.request_id)
    second = api.submit()
    calls = list(api.table.calls)
    assert api.service.poll_after(second, api.clock()) == 9
    assert api.service.poll_after(api.submit(model="other"), api.clock()) == 1
    assert api.table.calls == [*calls, "create"], "nothing is read or written for it"


@pytest.mark.parametrize("status", sorted(FINAL))
def test_never_ask_again_when_it_is_final(status: Status) -> None:
    assert poll_after(a_record(status=status), NOW) is None
