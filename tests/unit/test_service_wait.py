"""Waiting for a request to be final: until it is, for as long as was asked, and never beyond the invocation's time."""

from __future__ import annotations

import pytest

from inference.aws.deadline import Deadline
from inference.requests import Record
from tests.unit.api_harness import ME, Api
from tests.unit.fakes import Fault


def wait(api: Api, record: Record, seconds: int = 10) -> Record:
    return api.service.wait(record, seconds, api.clock)


def test_a_final_request_is_not_waited_for(api: Api) -> None:
    record = api.submit()
    cancelled = api.cancel(record.request_id)
    assert wait(api, cancelled) == cancelled
    assert api.pauses == []


def test_the_wait_ends_with_the_request(api: Api) -> None:
    record = api.submit()
    started = api.clock()

    def work() -> None:
        if api.clock() - started > 1_000 and api.table.record(record.request_id).attempts == 0:
            api.claim(record)
            api.succeed(record.request_id)

    api.during_a_pause = work
    found = wait(api, record)
    assert (found.status, found.result) == ("succeeded", "{}")
    assert 1_000 < api.clock() - started < 1_500


def test_what_a_wait_reads_counts_for_the_next_submit(api: Api) -> None:
    for _ in range(3):
        record = api.submit()
        api.clock.advance(seconds=6)
        api.claim(record)

        def succeed(request_id: str = record.request_id) -> None:
            api.succeed(request_id)

        api.during_a_pause = succeed
        wait(api, record)
    assert api.service.poll_after(api.submit(), api.clock()) == 7


def test_the_wait_ends_when_its_time_is_over(api: Api) -> None:
    record = api.submit()
    started = api.clock()
    assert wait(api, record) == record
    assert api.clock() - started == pytest.approx(10_000, abs=1)
    assert api.pauses[0] == 0.1
    assert max(api.pauses) == 0.5
    assert len(api.pauses) < 40, "each pause is followed by a read"


def test_a_request_that_expires_meanwhile_is_final(api: Api) -> None:
    record = api.submit()
    api.clock.now = record.expires_at - 2_000
    found = wait(api, record)
    assert found.status_at(api.clock()) == "expired"
    assert api.clock() < record.expires_at + 500


def test_an_error_of_the_table_ends_the_wait_and_not_the_request(api: Api) -> None:
    record = api.submit()
    api.table.faults.append(Fault("get"))
    assert wait(api, record) == record
    assert len(api.pauses) == 1


def test_a_read_that_misses_changes_nothing(api: Api) -> None:
    record = api.submit()
    api.table.items.clear()
    assert wait(api, record, 1) == record


def test_the_wait_leaves_time_for_the_response(api: Api) -> None:
    record = api.submit()
    deadline = Deadline()
    deadline.start(4.0)  # 2.3 s for calls
    real = api._pause
    left: list[float] = []

    def pause(seconds: float) -> None:
        left.append(deadline.remaining() - (api.clock() - record.submitted_at) / 1000 - seconds)
        real(seconds)

    api.service._pause = pause
    api.service._deadline = deadline
    deadline.remaining = lambda: 2.3 - (api.clock() - record.submitted_at) / 1000  # type: ignore[method-assign]
    wait(api, record)
    assert 1.5 < sum(api.pauses) < 1.9


def test_a_repeat_with_a_key_waits_for_the_first_request(api: Api) -> None:
    first = api.submit(key="k")
    api.claim(first)
    api.succeed(first.request_id)
    assert wait(api, api.submit(key="k", caller=ME)).status == "succeeded"
    assert api.pauses == []
