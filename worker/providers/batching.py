"""Calls that wait while a pass runs go into the next one together: batches without waiting for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from worker.isolation import Outcome


class Batching:
    """Predicts calls of one event loop, one pass at a time.

    Args:
        predict: one pass: as many outcomes as inputs. Runs in a thread.
        size: the most inputs of a pass.
    """

    def __init__(self, predict: Callable[[Sequence[Any]], list[Outcome]], size: int) -> None:
        self._predict = predict
        self._size = size
        self._waiting: deque[tuple[Any, asyncio.Future[Outcome]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def predict(self, value: Any) -> Outcome:
        """The outcome of one input. Raises what `predict` raises, for each input of that pass."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((value, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        await asyncio.sleep(0)  # calls that came together are all waiting after this
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
            batch = [(value, future) for value, future in batch if not future.cancelled()]
            if not batch:
                continue
            try:
                outcomes = await asyncio.to_thread(self._predict, [value for value, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.cancelled():
                        future.set_exception(error)
                continue
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.cancelled():
                    future.set_result(outcome)
