"""The Python client's `map`, sync and async: order, bounds, ids, failures, an early end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import httpx2
import pytest

from async_inference_client import Accepted, Outcome, _pauses, errors
from async_inference_client._turns import WINDOW, Turns
from inference.errors import UnknownModel
from tests.unit.client_plans import problem, status
from tests.unit.client_transport import Api, async_client, caller, sync_client

COUNT = 100


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake answers Retry-After: 0."""
    monkeypatch.setattr(_pauses, "SHORTEST_SECONDS", 0.001)
    monkeypatch.setattr(_pauses, "FIRST_BACKOFF_SECONDS", 0.001)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, api: Api) -> Callable[..., Any]:
    return caller(request.param, api)


def test_map_keeps_the_order_and_takes_every_input_once(api: Api, call: Callable[..., Any]) -> None:
    polls: dict[int, int] = {}

    def late_first(value: Any) -> bool:
        polls[value] = polls.get(value, 0) + 1
        return polls[value] > (COUNT - value) % 7

    api.ready = late_first
    found: list[Outcome] = call("map", iter(range(COUNT)), concurrency=5)
    assert [outcome.index for outcome in found] == [outcome.unwrap() for outcome in found] == list(range(COUNT))
    assert len(api.ids) == COUNT
    assert 1 < api.most_open <= 5


def test_map_gives_out_what_is_final_first_on_request(api: Api, call: Callable[..., Any]) -> None:
    api.ready = lambda value: value != 0 or len(api.final) == COUNT - 1
    found = call("map", range(COUNT), concurrency=5, ordered=False)
    assert [outcome.index for outcome in found].index(0) >= COUNT - 5
    assert sorted(outcome.index for outcome in found) == list(range(COUNT))


def test_one_bad_input_hurts_only_itself(api: Api, call: Callable[..., Any]) -> None:
    def respond(request: httpx2.Request, value: Any) -> httpx2.Response | None:
        if request.method == "POST":
            return problem(UnknownModel) if value == 1 else None
        return status("failed", error={"code": "model_error", "message": "m"}) if value == 3 else None

    api.respond = respond
    api.ready = lambda value: value != 4
    found = call("map", [0, 1, {2}, 3, 4, 5], timeout=0.2)
    kinds = [type(outcome.error) for outcome in found]
    assert kinds == [
        type(None),
        errors.UnknownModel,
        errors.UnencodableInput,
        type(None),
        errors.WaitTimeout,
        type(None),
    ]
    assert found[1].accepted is None
    assert found[4].accepted is not None
    assert found[4].accepted.request_id == found[4].error.request_id
    with pytest.raises(errors.RequestFailed):
        found[3].unwrap()
    with pytest.raises(errors.UnknownModel):
        found[1].unwrap()
    assert (found[0].unwrap(), found[5].unwrap()) == (0, 5)


def test_map_names_each_id_as_soon_as_it_is_there(api: Api, call: Callable[..., Any]) -> None:
    told: dict[int, Accepted] = {}
    found = call("map", range(20), on_accepted=lambda index, answer: told.setdefault(index, answer))
    assert {outcome.index: outcome.accepted for outcome in found} == told
    assert len({answer.request_id for answer in told.values()}) == 20


def test_a_slow_request_holds_back_a_bounded_number_of_inputs(api: Api, call: Callable[..., Any]) -> None:
    taken: list[int] = []
    held = [0]

    def endless() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    def ready(value: int) -> bool:
        if value == 0 and held[0] < 50:
            held[0] += 1
            return False
        return True

    def stop_at_the_first(request: httpx2.Request, value: Any) -> None:
        if value == 0 and held[0] == 50:
            assert len(taken) <= 3 * WINDOW

    api.ready, api.respond = ready, stop_at_the_first

    def first_of_sync() -> Outcome:
        with sync_client(api) as client:
            return next(iter(client.map(endless(), concurrency=3)))

    assert first_of_sync().unwrap() == 0
    assert len(taken) <= 3 * WINDOW + 3


def test_map_ends_at_once_when_the_iteration_ends(api: Api) -> None:
    """The pauses of the other inputs are cut short, and their threads and tasks are gone."""
    api.respond = lambda request, value: (
        status("pending", "60", request_id=request.url.path[8:]) if request.method == "GET" and value else None
    )

    def stop_sync() -> None:
        with sync_client(api) as client:
            for outcome in client.map(range(8), ordered=False):
                assert outcome.unwrap() == 0
                break

    async def stop_async() -> None:
        async with async_client(api) as client, aclosing(client.map(range(8), ordered=False)) as outcomes:
            async for outcome in outcomes:
                assert outcome.unwrap() == 0
                break
        assert len(asyncio.all_tasks()) == 1

    stop_sync()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("async-inference-map")]
    asyncio.run(stop_async())


def test_an_async_map_takes_async_inputs(api: Api) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(10):
            await asyncio.sleep(0)
            yield number

    async def mapped() -> list[Any]:
        async with async_client(api) as client:
            return [outcome.unwrap() async for outcome in client.map(numbers(), concurrency=2)]

    assert asyncio.run(mapped()) == list(range(10))


def test_an_error_of_the_inputs_ends_the_map(api: Api, call: Callable[..., Any]) -> None:
    def broken() -> Iterator[int]:
        yield 0
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        call("map", broken())


def test_a_map_of_nothing_is_empty_and_its_arguments_are_checked_at_once(api: Api) -> None:
    with sync_client(api) as client:
        assert list(client.map([])) == []
        with pytest.raises(ValueError, match="concurrency"):
            client.map([1], concurrency=0)
    with pytest.raises(ValueError, match="concurrency"):
        async_client(api).map([1], concurrency=0)


def test_turns_hold_back_what_is_out_of_order() -> None:
    turns = Turns(concurrency=2, ordered=True)
    assert [turns.start(), turns.start()] == [0, 1]
    room = [turns.may_start]
    turns.end(Outcome(1, None, None, None, None))
    assert list(turns.ready()) == []
    room.append(turns.may_start)
    assert room == [False, True]
    turns.end(Outcome(0, None, None, None, None))
    assert [outcome.index for outcome in turns.ready()] == [0, 1]
