"""The rules of the API: submit, status, cancel, and what a client may rely on when AWS fails in between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.errors import Refused, Unavailable
from inference.moves import Moves
from inference.request_table import Applied
from inference.requests import ErrorCode, Failure, Message, Record, Status
from inference.service import SUBMIT_LEASE_MS, Limits, Service, describe, retry_after
from tests.unit.fakes import (
    DEADLINE,
    NOW,
    RETENTION,
    Clock,
    FakeQueue,
    FakeTable,
    Fault,
    a_catalog,
    a_record,
)

ME, YOU = "iam:me", "iam:you"
INPUT = {"text": "fine"}


class Api:
    """A service on fakes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.queues = {name: FakeQueue(self.clock) for name in ("echo", "other")}
        self.moves = Moves(self.clock)
        limits = Limits(attempts=5, deadline=DEADLINE, retention=RETENTION)
        self.service = Service(self.table, self.queues.__getitem__, a_catalog(), limits, self.clock)

    @property
    def queue(self) -> FakeQueue:
        return self.queues["echo"]

    def submit(self, value: Any = None, key: str | None = None, caller: str = ME, model: str | None = None) -> Record:
        return self.service.submit(model, dict(INPUT) if value is None else value, caller, key)

    def refusal(self, *args: Any, **kwargs: Any) -> Refused:
        with pytest.raises(Refused) as refused:
            self.submit(*args, **kwargs)
        return refused.value

    def messages(self, model: str = "echo") -> list[Message]:
        return [Message.from_body(held.body) for held in self.queues[model].messages.values()]

    def claim(self, record: Record) -> None:
        claim = self.moves.claim_first(record.request_id, record.submitted_at, self.clock.now + 33_000)
        assert isinstance(self.table.apply([claim])[0], Applied)


@pytest.fixture
def api() -> Api:
    return Api()


# Submit


def test_record_first_then_message(api: Api) -> None:
    order: list[str] = []
    api.table.before = order.append
    api.queue.before = order.append
    api.submit()
    assert order == ["create", "send"]


def test_what_is_recorded_and_sent(api: Api) -> None:
    record = api.submit()
    assert api.table.record(record.request_id) == record
    assert record == a_record(record.request_id, caller=ME)
    (message,) = api.messages()
    assert message.input == {"text": "fine", "threshold": 0.5}
    assert (message.request_id, message.submitted_at, message.expires_at, message.attempt_limit) == (
        record.request_id,
        NOW,
        NOW + DEADLINE * 1000,
        5,
    )


def test_each_model_has_its_queue(api: Api) -> None:
    record = api.submit(model="other")
    assert record.model == "other"
    assert [message.model for message in api.messages("other")] == ["other"]
    assert api.messages() == []


def test_two_requests_without_a_key_are_two(api: Api) -> None:
    assert api.submit().request_id != api.submit().request_id
    assert len(api.messages()) == 2


@pytest.mark.parametrize("value", [{"text": ""}, {}, [1], "x", None, 5])
def test_an_invalid_input_is_422_and_leaves_nothing(api: Api, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        api.service.submit(None, value, ME)
    assert refused.value.status == 422
    assert "data" in refused.value.detail
    assert api.table.calls == api.queue.calls == []


def test_no_such_model_is_404(api: Api) -> None:
    assert api.refusal(model="nope").status == 404


def test_an_input_that_does_not_fit_in_a_message_is_413_and_leaves_nothing(api: Api) -> None:
    assert api.refusal({"text": "\u20ac" * 43_000}).status == 413  # 129 KB in UTF-8, 258 KB in ASCII
    assert api.submit({"text": "\u20ac" * 41_000})
    assert len(api.table.items) == 1


@pytest.mark.parametrize("key", [None, "k"])
class TestWhenAWSFails:
    def test_the_queue_refuses(self, api: Api, key: str | None) -> None:
        api.queue.faults = [Fault("send")]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert api.messages() == []

    def test_the_table_refuses(self, api: Api, key: str | None) -> None:
        api.table.faults = [Fault("create")]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert api.queue.calls == []

    def test_the_tables_answer_is_lost(self, api: Api, key: str | None) -> None:
        api.table.faults = [Fault("create", done=True)]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert api.queue.calls == []

    def test_the_queue_refuses_and_the_record_cannot_be_discarded(self, api: Api, key: str | None) -> None:
        api.queue.faults = [Fault("send")]
        api.table.faults = [Fault("discard")]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        # Nothing was promised. What is left is the sweeper's (test_sweep.py).
        assert [item["status"] for item in api.table.items.values()] == ["pending"]

    def test_the_queues_answer_is_lost_and_no_worker_has_the_message(self, api: Api, key: str | None) -> None:
        api.queue.faults = [Fault("send", done=True)]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert len(api.messages()) == 1  # a worker will find no record of it, and drop it

    @pytest.mark.parametrize("finished", [True, False])
    def test_the_queues_answer_is_lost_and_a_worker_has_the_message(
        self, api: Api, key: str | None, finished: bool
    ) -> None:
        def work(_: str) -> None:
            (request_id,) = api.table.items
            api.claim(api.table.record(request_id))
            if finished:
                api.table.apply([api.moves.succeed(request_id, 1, "{}")])

        api.queue.faults = [Fault("send", done=True)]
        api.queue.after = work
        record = api.submit(key=key)
        standing = api.table.record(record.request_id)
        assert standing.status is (Status.SUCCEEDED if finished else Status.RUNNING)
        assert standing.submit_until is None


def test_the_confirmation_fails_and_the_request_is_accepted_all_the_same(api: Api) -> None:
    api.table.faults = [Fault("apply")]
    record = api.submit(key="k")
    assert len(api.messages()) == 1
    api.clock.advance(ms=1)
    # Until the submit's time is over a repeat can't tell; then it sends once more, which harms nothing.
    assert api.refusal(key="k").status == 409
    api.clock.advance(ms=SUBMIT_LEASE_MS - 1)
    assert api.submit(key="k").request_id == record.request_id
    assert len(api.messages()) == 2


# Idempotency-Key


def test_a_repeat_is_answered_like_the_first(api: Api) -> None:
    first = api.submit(key="k")
    api.clock.advance(seconds=3600)
    again = api.submit({"text": "fine"}, key="k")
    assert again.request_id == first.request_id
    assert again.submitted_at == first.submitted_at
    assert len(api.messages()) == len(api.table.items) == 1


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_a_repeat_finds_the_first_wherever_it_stands(api: Api, status: Status) -> None:
    first = api.submit(key="k")
    api.table.items[first.request_id]["status"] = status.value
    again = api.submit(key="k")
    assert (again.request_id, again.status) == (first.request_id, status)
    assert len(api.messages()) == 1


@pytest.mark.parametrize(
    "changes", [{"value": {"text": "other"}}, {"value": {"text": "fine", "threshold": 0.5}}, {"model": "other"}]
)
def test_another_input_with_the_same_key_is_422(api: Api, changes: dict[str, Any]) -> None:
    first = api.submit(key="k")
    refused = api.refusal(**changes, key="k")
    assert (refused.status, refused.title) == (422, "Idempotency-Key reused")
    assert refused.members["request_id"] == first.request_id
    assert len(api.table.items) == 1


def test_a_key_belongs_to_its_caller(api: Api) -> None:
    mine = api.submit(key="k", caller=ME)
    yours = api.submit({"text": "other"}, key="k", caller=YOU)
    assert mine.request_id != yours.request_id


def test_a_first_that_is_still_being_written_is_409(api: Api) -> None:
    answers: list[Refused] = []

    def repeat(_: str) -> None:
        api.clock.advance(ms=1)
        answers.append(api.refusal(key="k"))

    api.queue.before = repeat
    first = api.submit(key="k")
    (refused,) = answers
    assert (refused.status, refused.headers) == (409, {"Retry-After": "1"})
    assert refused.members["request_id"] == first.request_id


class Killed(BaseException):
    """The api function's process ends here."""


def _killed_at(api: Api, operation: str) -> None:
    def kill(at: str) -> None:
        if at == operation:
            api.table.before = api.queue.before = lambda _: None
            raise Killed

    api.table.before = api.queue.before = kill
    with pytest.raises(Killed):
        api.submit(key="k")


@pytest.mark.parametrize("operation", ["send", "apply"])
def test_a_writer_that_died_is_taken_over_and_its_message_sent(api: Api, operation: str) -> None:
    _killed_at(api, operation)
    api.clock.advance(ms=1)
    assert api.refusal(key="k").status == 409
    api.clock.advance(ms=SUBMIT_LEASE_MS - 2)
    assert api.refusal(key="k").status == 409
    api.clock.advance(ms=1)
    record = api.submit(key="k")
    assert {message.request_id for message in api.messages()} == {record.request_id}
    standing = api.table.record(record.request_id)
    assert (standing.status, standing.submit_until, standing.renewed_at) == (Status.PENDING, None, api.clock.now)
    # The promise is of the first submit: its deadline did not move.
    assert {message.submitted_at for message in api.messages()} == {standing.submitted_at} == {NOW}
    assert api.submit(key="k").request_id == record.request_id


def test_two_retries_take_over_and_one_of_them_does(api: Api) -> None:
    _killed_at(api, "send")
    api.clock.advance(ms=SUBMIT_LEASE_MS)
    other: list[Record] = []

    def overtake(operation: str) -> None:
        if operation == "apply":
            api.table.before = lambda _: None
            other.append(api.submit(key="k"))

    api.table.before = overtake
    record = api.submit(key="k")
    assert other[0].request_id == record.request_id
    assert len(api.messages()) == 1


def test_a_takeover_whose_queue_refuses_leaves_nothing(api: Api) -> None:
    _killed_at(api, "send")
    api.clock.advance(ms=SUBMIT_LEASE_MS)
    api.queue.faults = [Fault("send")]
    with pytest.raises(Unavailable):
        api.submit(key="k")
    assert api.table.items == {}
    assert api.submit(key="k")


def test_a_takeover_whose_table_refuses_is_unavailable(api: Api) -> None:
    _killed_at(api, "send")
    api.clock.advance(ms=SUBMIT_LEASE_MS)
    api.table.faults = [Fault("apply")]
    with pytest.raises(Unavailable):
        api.submit(key="k")
    assert api.messages() == []


def test_two_submits_in_the_same_millisecond_are_told_apart(api: Api) -> None:
    """Else the second would take the first's record for its own, and lose it when the first can't send."""
    refusals: list[Refused] = []

    def overtake(_: str) -> None:
        api.queue.before = lambda _: None
        refusals.append(api.refusal(key="k"))

    api.queue.before = overtake
    api.queue.faults = [Fault("send")]
    with pytest.raises(Unavailable):
        api.submit(key="k")
    assert refusals[0].status == 409
    assert api.table.items == {}


@pytest.mark.parametrize(("seconds", "new"), [(DEADLINE + RETENTION - 1, False), (DEADLINE + RETENTION, True)])
def test_a_key_is_free_again_when_its_record_is_past_its_retention(api: Api, seconds: int, new: bool) -> None:
    first = api.submit(key="k")
    api.clock.advance(seconds=seconds)
    again = api.submit(key="k")
    assert again.request_id == first.request_id
    assert (again.submitted_at != first.submitted_at) == new
    # Whatever a submit answers, its status can be read.
    assert api.service.status(again.request_id, ME)


# Status


def test_the_status_of_a_request(api: Api) -> None:
    record = api.submit()
    assert api.service.status(record.request_id, ME) == record


def test_another_callers_request_is_404_like_no_request(api: Api) -> None:
    record = api.submit(caller=YOU)
    details = []
    for request_id in (record.request_id, "6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"):
        with pytest.raises(Refused) as refused:
            api.service.status(request_id, ME)
        details.append((refused.value.status, refused.value.detail, refused.value.members))
    assert details[0] == details[1]
    assert details[0][0] == 404


@pytest.mark.parametrize("request_id", ["", "x" * 65, "x" * 5000, "\ud800", "ü"])
def test_what_cannot_be_an_id_is_404_without_a_look(api: Api, request_id: str) -> None:
    with pytest.raises(Refused) as refused:
        api.service.status(request_id, ME)
    assert refused.value.status == 404
    assert api.table.calls == []


@pytest.mark.parametrize(("seconds", "there"), [(DEADLINE + RETENTION - 1, True), (DEADLINE + RETENTION, False)])
def test_a_record_past_its_retention_is_404_before_it_is_deleted(api: Api, seconds: int, there: bool) -> None:
    record = api.submit()
    api.clock.advance(seconds=seconds)
    if there:
        assert api.service.status(record.request_id, ME)
    else:
        with pytest.raises(Refused):
            api.service.status(record.request_id, ME)


def test_a_read_that_misses_is_repeated_consistently(api: Api) -> None:
    record = api.submit()
    real, asked = api.table.get, []

    def stale(request_id: str, consistent: bool = False) -> Record | None:
        asked.append(consistent)
        return real(request_id) if consistent else None

    api.table.get = stale  # type: ignore[method-assign]
    assert api.service.status(record.request_id, ME) == record
    assert asked == [False, True]


def test_an_unswept_request_is_shown_as_expired(api: Api) -> None:
    record = api.submit()
    shown = describe(record, NOW + DEADLINE * 1000)
    assert shown["status"] == "expired"
    assert retry_after(record, NOW + DEADLINE * 1000) is None


def test_everything_that_is_shown() -> None:
    record = a_record(
        status=Status.SUCCEEDED,
        attempts=2,
        model_version="1.0.0",
        started_at=NOW + 5,
        finished_at=NOW + 1_234,
        result='{"confidence": 0.25}',
    )
    assert json.loads(json.dumps(describe(record, NOW))) == {
        "request_id": "a1",
        "status": "succeeded",
        "model": "echo",
        "model_version": "1.0.0",
        "result": {"confidence": 0.25},
        "error": None,
        "attempts": 2,
        "submitted_at": "2027-01-15T08:00:00.000Z",
        "started_at": "2027-01-15T08:00:00.005Z",
        "finished_at": "2027-01-15T08:00:01.234Z",
        "expires_at": "2027-01-16T08:00:00.000Z",
    }


def test_an_error_is_shown_as_json() -> None:
    error = Failure(ErrorCode.TIMEOUT, "slow", 3).to_json()
    shown = describe(a_record(status=Status.FAILED, error=error), NOW)
    assert shown["error"] == {"code": "timeout", "message": "slow", "attempt": 3}


@pytest.mark.parametrize(("age", "wait"), [(0, 1), (7, 1), (8, 2), (40, 10), (120, 30), (80_000, 30)])
def test_when_to_ask_again(age: int, wait: int) -> None:
    assert retry_after(a_record(), NOW + age * 1000) == wait


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_never_ask_again_when_it_is_final(status: Status) -> None:
    assert retry_after(a_record(status=status), NOW) is None


# Cancel


def _in_status(api: Api, status: Status) -> Record:
    record = a_record(status=status, caller=ME, attempts=1, lease_until=NOW + 1000)
    api.table.put(record)
    return record


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING])
def test_cancelling_an_open_request_ends_it_and_again_changes_nothing(api: Api, status: Status) -> None:
    _in_status(api, status)
    cancelled = api.service.cancel("a1", ME)
    assert (cancelled.status, cancelled.finished_at) == (Status.CANCELLED, NOW)
    api.clock.advance(seconds=1)
    assert api.service.cancel("a1", ME) == cancelled
    assert api.table.record("a1") == cancelled


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.EXPIRED])
def test_cancelling_a_final_request_is_409(api: Api, status: Status) -> None:
    record = _in_status(api, status)
    with pytest.raises(Refused) as refused:
        api.service.cancel("a1", ME)
    assert (refused.value.status, refused.value.members["request_status"]) == (409, status)
    assert api.table.record("a1") == record


def test_cancelling_an_unswept_expired_request_is_409(api: Api) -> None:
    api.table.put(a_record(caller=ME, expires_at=NOW))
    with pytest.raises(Refused) as refused:
        api.service.cancel("a1", ME)
    assert refused.value.members["request_status"] == "expired"


def test_cancelling_anothers_request_is_404_and_changes_nothing(api: Api) -> None:
    record = api.submit(caller=YOU)
    with pytest.raises(Refused) as refused:
        api.service.cancel(record.request_id, ME)
    assert refused.value.status == 404
    assert api.table.record(record.request_id) == record


@pytest.mark.parametrize(
    ("status", "answer"),
    [(Status.SUCCEEDED, 409), (Status.CANCELLED, 200), (None, 404)],
)
def test_a_request_that_ends_while_it_is_being_cancelled(api: Api, status: Status | None, answer: int) -> None:
    _in_status(api, Status.RUNNING)

    def end(operation: str) -> None:
        if operation == "apply":
            if status is None:
                api.table.items.clear()
            else:
                api.table.items["a1"]["status"] = status.value

    api.table.before = end
    if answer == 200:
        assert api.service.cancel("a1", ME).status is Status.CANCELLED
    else:
        with pytest.raises(Refused) as refused:
            api.service.cancel("a1", ME)
        assert refused.value.status == answer


@pytest.mark.parametrize("operation", ["get", "apply"])
def test_a_cancel_that_the_table_does_not_take_is_unavailable(api: Api, operation: str) -> None:
    _in_status(api, Status.PENDING)
    api.table.faults = [Fault(operation)]
    with pytest.raises(Unavailable):
        api.service.cancel("a1", ME)


def test_a_cancel_whose_answer_was_lost_can_be_repeated(api: Api) -> None:
    _in_status(api, Status.PENDING)
    api.table.faults = [Fault("apply", done=True)]
    with pytest.raises(Unavailable):
        api.service.cancel("a1", ME)
    assert api.service.cancel("a1", ME).status is Status.CANCELLED


def test_a_running_attempts_result_is_refused_after_a_cancel(api: Api) -> None:
    record = api.submit()
    api.claim(record)
    api.service.cancel(record.request_id, ME)
    assert not isinstance(api.table.apply([api.moves.succeed(record.request_id, 1, "{}")])[0], Applied)
    assert api.table.record(record.request_id).result is None
