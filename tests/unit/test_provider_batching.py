"""Calls of a provider's event loop share passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from inference.requests import ErrorCode
from worker.isolation import Failed, Outcome, Succeeded
from worker.providers.batching import Batching


def test_calls_that_come_together_are_one_pass_up_to_the_size() -> None:
    passes: list[list[Any]] = []

    def predict(values: Sequence[Any]) -> list[Outcome]:
        passes.append(list(values))
        return [Succeeded(str(value)) for value in values]

    async def run() -> list[Outcome]:
        batching = Batching(predict, 3)
        return await asyncio.gather(*(batching.predict(value) for value in range(7)))

    outcomes = asyncio.run(run())
    assert [outcome.result for outcome in outcomes] == [str(value) for value in range(7)]
    assert passes == [[0, 1, 2], [3, 4, 5], [6]]


def test_calls_that_come_during_a_pass_wait_for_the_next_one() -> None:
    begun, go_on = threading.Event(), threading.Event()
    passes: list[list[Any]] = []

    def predict(values: Sequence[Any]) -> list[Outcome]:
        passes.append(list(values))
        begun.set()
        assert go_on.wait(10)
        return [Succeeded("") for _ in values]

    async def run() -> None:
        batching = Batching(predict, 10)
        first = asyncio.create_task(batching.predict(1))
        await asyncio.to_thread(begun.wait, 10)
        later = [asyncio.create_task(batching.predict(value)) for value in (2, 3)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, *later)
        await batching.predict(4)

    asyncio.run(run())
    assert passes == [[1], [2, 3], [4]]


def test_an_outcome_is_its_own_calls() -> None:
    def predict(values: Sequence[Any]) -> list[Outcome]:
        return [
            Failed(ErrorCode.INVALID_INPUT, "no", False) if value == 1 else Succeeded(str(value)) for value in values
        ]

    async def run() -> list[Outcome]:
        batching = Batching(predict, 10)
        return await asyncio.gather(*(batching.predict(value) for value in range(3)))

    assert [type(outcome) for outcome in asyncio.run(run())] == [Succeeded, Failed, Succeeded]


def test_a_pass_that_raises_raises_for_its_calls_and_not_for_later_ones() -> None:
    broken = [True]

    def predict(values: Sequence[Any]) -> list[Outcome]:
        if broken.pop() if broken else False:
            raise RuntimeError("broken")
        return [Succeeded("") for _ in values]

    async def run() -> None:
        batching = Batching(predict, 10)
        found = await asyncio.gather(batching.predict(1), batching.predict(2), return_exceptions=True)
        assert [str(error) for error in found] == ["broken", "broken"]
        assert isinstance(await batching.predict(3), Succeeded)

    asyncio.run(run())


def test_a_cancelled_call_leaves_the_others() -> None:
    seen: list[list[Any]] = []

    def predict(values: Sequence[Any]) -> list[Outcome]:
        seen.append(list(values))
        return [Succeeded("") for _ in values]

    async def run() -> None:
        batching = Batching(predict, 10)
        one, other = (asyncio.create_task(batching.predict(value)) for value in (1, 2))
        await asyncio.sleep(0)
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        assert isinstance(await other, Succeeded)

    asyncio.run(run())
    assert seen == [[2]]
