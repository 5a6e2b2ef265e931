"""One pass at a time: in order, bounded, given up when its time is over, and free again when it ends after all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from worker.sync.lane import Busy, Lane, TimedOut


class Gate:
    """A call that runs until it is let go."""

    def __init__(self) -> None:
        self.started, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.started.set()
        assert self.opened.wait(20)
        return "done"

    async def running(self) -> None:
        while not self.started.is_set():
            await asyncio.sleep(0)


def test_a_call_gives_its_result_or_its_error_and_the_next_one_is_run() -> None:
    lane = Lane(0)

    def fail(error: BaseException) -> Callable[[], None]:
        def call() -> None:
            raise error

        return call

    async def calls() -> None:
        assert await lane.run(lambda: 7, 20) == 7
        for error in (ValueError("no"), SystemExit(1), TimeoutError("the call's own")):
            with pytest.raises(type(error)) as raised:
                await lane.run(fail(error), 20)
            assert raised.value is error
        assert await lane.run(threading.current_thread, 20) is await lane.run(threading.current_thread, 20)

    asyncio.run(calls())


def test_calls_run_one_at_a_time_in_their_order() -> None:
    running: list[int] = []
    seen: list[list[int]] = []

    def call(number: int) -> Callable[[], int]:
        def run() -> int:
            running.append(number)
            seen.append([*running])
            running.remove(number)
            return number

        return run

    async def calls() -> list[int]:
        lane = Lane(20)
        return await asyncio.gather(*[lane.run(call(number), 20) for number in range(20)])

    assert asyncio.run(calls()) == list(range(20))
    assert seen == [[number] for number in range(20)]


def test_more_than_may_wait_are_rejected_at_once() -> None:
    gate, lane = Gate(), Lane(1)

    async def calls() -> None:
        first = asyncio.create_task(lane.run(gate, 20))
        await gate.running()
        second = asyncio.create_task(lane.run(lambda: "second", 20))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await lane.run(lambda: "third", 20)
        gate.opened.set()
        assert await asyncio.gather(first, second) == ["done", "second"]
        assert await lane.run(lambda: "fourth", 20) == "fourth"

    asyncio.run(calls())


def test_a_call_that_is_given_up_runs_on_and_is_reported() -> None:
    gate = Gate()
    given_up: list[Callable[[], bool]] = []
    lane = Lane(1, given_up.append)

    async def calls() -> None:
        with pytest.raises(TimedOut):
            await lane.run(gate, 0.01)

    asyncio.run(calls())
    (still_runs,) = given_up
    assert still_runs()
    assert not lane.wait_until_free(0.01)
    gate.opened.set()
    assert lane.wait_until_free(20)
    assert not still_runs()
    assert asyncio.run(lane.run(lambda: "next", 20)) == "next", "in another loop, as another invocation"


def test_a_waiting_call_that_is_given_up_is_never_run() -> None:
    gate = Gate()
    given_up: list[Callable[[], bool]] = []
    ran: list[int] = []
    lane = Lane(1, given_up.append)

    async def calls() -> None:
        first = asyncio.create_task(lane.run(gate, 20))
        await gate.running()
        for _ in range(3):  # its place is free again
            with pytest.raises(TimedOut):
                await lane.run(lambda: ran.append(1), 0)
        gate.opened.set()
        assert await first == "done"

    asyncio.run(calls())
    assert lane.wait_until_free(20)
    assert (given_up, ran) == ([], [])


def test_a_lane_that_was_never_used_is_free() -> None:
    lane: Any = Lane(0)
    assert lane.wait_until_free(0)
    assert lane._thread is None
