"""Idempotency-Key: a repeat finds the first wherever it stands, and takes over from a writer that died."""

from __future__ import annotations

from typing import Any

import pytest

from inference.errors import Refused, Unavailable
from inference.requests import Record, Status
from inference.service import SUBMIT_LEASE_MS
from tests.unit.api_harness import ME, YOU, Api
from tests.unit.fakes import NOW, Fault, Killed
from tests.unit.samples import DEADLINE, RETENTION


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
