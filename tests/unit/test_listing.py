"""Listing: a caller's own requests, newest first, in pages that stay."""

from __future__ import annotations

import pytest

from inference.errors import Unavailable
from inference.listing import MAX_EXAMINED, Filter, Page
from inference.requests import Status
from inference.store.caller_index import Position
from tests.unit.api_harness import ME, YOU, Api
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import DEADLINE, RETENTION, a_record

ALL = Filter()


def page(api: Api, wanted: Filter = ALL, limit: int = 20, after: Position | None = None, caller: str = ME) -> Page:
    return api.service.requests(caller, wanted, limit, after, api.clock())


def ids(found: Page) -> list[str]:
    return [record.request_id for record in found.records]


def submit(api: Api, count: int, **how: str) -> list[str]:
    """Their ids, newest first."""
    made = []
    for _ in range(count):
        api.clock.advance(ms=1)
        made.append(api.submit(**how).request_id)
    return made[::-1]


def test_ones_own_newest_first(api: Api) -> None:
    mine = submit(api, 3)
    submit(api, 2, caller=YOU)
    found = page(api)
    assert (ids(found), found.next) == (mine, None)
    assert len(ids(page(api, caller=YOU))) == 2
    assert page(api, caller="iam:nobody") == Page([], None)


def test_pages_stay_while_new_requests_come(api: Api) -> None:
    mine = submit(api, 5)
    first = page(api, limit=2)
    submit(api, 3)
    second = page(api, limit=2, after=first.next)
    submit(api, 3)
    third = page(api, limit=2, after=second.next)
    assert [ids(first), ids(second), ids(third)] == [mine[:2], mine[2:4], mine[4:]]
    assert third.next is None


def test_requests_of_one_millisecond_are_all_listed(api: Api) -> None:
    for number in range(5):
        api.table.put(a_record(f"a{number}", caller=ME))
    found, after = [], None
    for _ in range(3):
        part = page(api, limit=2, after=after)
        found += ids(part)
        after = part.next
    assert (sorted(found), after) == ([f"a{number}" for number in range(5)], None)


def test_a_page_is_one_query_and_one_read(api: Api) -> None:
    submit(api, 30)
    api.table.calls.clear()
    assert len(page(api, limit=20).records) == 20
    assert api.table.calls == ["page", "get_many"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(statuses={Status.CANCELLED}), [1, 3]),
        (Filter(statuses={Status.PENDING}), [0, 2]),
        (Filter(statuses={Status.PENDING, Status.CANCELLED}), [0, 1, 2, 3]),
        (Filter(statuses={Status.FAILED}), []),
        (Filter(model="echo"), [2, 3]),
        (Filter(model="other", statuses={Status.CANCELLED}), [1]),
        (Filter(model="removed"), []),
    ],
)
def test_filters(api: Api, wanted: Filter, expected: list[int]) -> None:
    mine = submit(api, 2)
    mine = submit(api, 2, model="other") + mine
    for request_id in (mine[1], mine[3]):
        api.cancel(request_id)
    assert ids(page(api, wanted)) == [mine[number] for number in expected]


def test_a_filter_by_status_takes_the_status_that_readers_see(api: Api) -> None:
    (mine,) = submit(api, 1)
    api.clock.advance(seconds=DEADLINE)
    assert ids(page(api, Filter(statuses={Status.EXPIRED}))) == [mine]
    assert ids(page(api, Filter(statuses={Status.PENDING}))) == []


def test_a_rare_status_leaves_a_page_short_and_the_next_one_goes_on(api: Api) -> None:
    for number in range(MAX_EXAMINED + 50):
        status = Status.FAILED if number < 2 else Status.SUCCEEDED
        api.table.put(a_record(f"a{number:04}", caller=ME, submitted_at=NOW + number, status=status, finished_at=NOW))
    failed = Filter(statuses={Status.FAILED})
    first = page(api, failed)
    assert ids(first) == []
    assert api.table.calls.count("get_many") == MAX_EXAMINED // 100
    second = page(api, failed, after=first.next)
    assert (ids(second), second.next) == (["a0001", "a0000"], None)


def test_a_filtered_page_that_is_full_goes_on_after_its_last_request(api: Api) -> None:
    mine = submit(api, 6)
    for request_id in mine[1::2]:
        api.cancel(request_id)
    cancelled = Filter(statuses={Status.CANCELLED})
    first = page(api, cancelled, limit=2)
    second = page(api, cancelled, limit=2, after=first.next)
    assert (ids(first), ids(second), second.next) == ([mine[1], mine[3]], [mine[5]], None)


def test_what_is_past_its_retention_or_gone_is_not_listed(api: Api) -> None:
    submit(api, 1)
    api.clock.advance(seconds=DEADLINE + RETENTION)
    (kept,) = submit(api, 1)
    assert ids(page(api)) == [kept]


def test_an_entry_of_an_earlier_record_with_the_same_key_is_not_listed_twice(api: Api) -> None:
    (mine,) = submit(api, 1)
    real = api.table.caller_index._page
    stale = Position(NOW - 5, mine)

    def with_a_stale_entry(*arguments: object) -> object:
        entries, end = real(*arguments)  # type: ignore[arg-type]
        return [*entries, stale], end

    api.table.caller_index._page = with_a_stale_entry  # type: ignore[method-assign,assignment]
    assert ids(page(api)) == [mine]


@pytest.mark.parametrize("operation", ["page", "get_many"])
def test_a_table_that_does_not_answer(api: Api, operation: str) -> None:
    submit(api, 1)
    api.table.faults.append(Fault(operation))
    with pytest.raises(Unavailable):
        page(api)
