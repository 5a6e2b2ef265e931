"""Cancel: an open request ends, a final one stays, and what happens when both come at once or AWS fails."""

from __future__ import annotations

import pytest

from inference.errors import AlreadyFinal, RequestError, Unavailable, UnknownRequest
from inference.requests import FINAL, Record, Status
from inference.store.request_table import Applied
from tests.unit.api_harness import ME, YOU, Api
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import a_record


def _in_status(api: Api, status: Status) -> Record:
    record = a_record(status=status, caller=ME, attempts=1, lease_until=NOW + 1000)
    api.table.put(record)
    return record


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING])
def test_cancelling_an_open_request_ends_it_and_again_changes_nothing(api: Api, status: Status) -> None:
    _in_status(api, status)
    cancelled = api.cancel("a1")
    assert (cancelled.status, cancelled.finished_at) == (Status.CANCELLED, NOW)
    api.clock.advance(seconds=1)
    assert api.cancel("a1") == cancelled
    assert api.table.record("a1") == cancelled


@pytest.mark.parametrize("status", sorted(FINAL - {Status.CANCELLED}))
def test_cancelling_a_final_request_changes_nothing(api: Api, status: Status) -> None:
    record = _in_status(api, status)
    with pytest.raises(AlreadyFinal) as error:
        api.cancel("a1")
    assert error.value.facts == {"request_id": "a1", "request_status": status}
    assert api.table.record("a1") == record


def test_an_unswept_expired_request_is_final(api: Api) -> None:
    api.table.put(a_record(caller=ME, expires_at=NOW))
    with pytest.raises(AlreadyFinal) as error:
        api.cancel("a1")
    assert error.value.facts["request_status"] == "expired"


def test_cancelling_anothers_request_changes_nothing(api: Api) -> None:
    record = api.submit(caller=YOU)
    with pytest.raises(UnknownRequest):
        api.cancel(record.request_id)
    assert api.table.record(record.request_id) == record


@pytest.mark.parametrize(
    ("status", "error"),
    [(Status.SUCCEEDED, AlreadyFinal), (Status.CANCELLED, None), (None, UnknownRequest)],
)
def test_a_request_that_ends_while_it_is_being_cancelled(
    api: Api, status: Status | None, error: type[RequestError] | None
) -> None:
    _in_status(api, Status.RUNNING)

    def end(operation: str) -> None:
        if operation == "apply":
            if status is None:
                api.table.items.clear()
            else:
                api.table.items["a1"]["status"] = status.value

    api.table.before = end
    if error is None:
        assert api.cancel("a1").status is Status.CANCELLED
    else:
        with pytest.raises(error):
            api.cancel("a1")


@pytest.mark.parametrize("operation", ["get", "apply"])
def test_a_cancel_that_the_table_does_not_take_is_unavailable(api: Api, operation: str) -> None:
    _in_status(api, Status.PENDING)
    api.table.faults = [Fault(operation)]
    with pytest.raises(Unavailable):
        api.cancel("a1")


def test_a_cancel_whose_answer_was_lost_can_be_repeated(api: Api) -> None:
    _in_status(api, Status.PENDING)
    api.table.faults = [Fault("apply", done=True)]
    with pytest.raises(Unavailable):
        api.cancel("a1")
    assert api.cancel("a1").status is Status.CANCELLED


def test_a_running_attempts_result_is_rejected_after_a_cancel(api: Api) -> None:
    record = api.submit()
    api.claim(record)
    api.cancel(record.request_id)
    assert not isinstance(api.succeed(record.request_id), Applied)
    assert api.table.record(record.request_id).result is None
