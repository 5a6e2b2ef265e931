"""One thread in which a process predicts: models are not made for two passes at a time, and a pass must not block the
server's loop.

    run -> waits for the passes before it -> is run -> its result
        -> too many wait already          -> Busy
        -> its time is over               -> TimedOut; a pass that has begun can't be stopped, and runs on
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


class Busy(Exception):
    """As many calls wait as may."""


class TimedOut(Exception):
    """The call has not ended in its time."""


class Lane:
    """Runs calls one after the other, in their order.

    Args:
        max_waiting: calls that may wait while one runs.
        on_abandoned: called when a call that runs is given up, with a function that says whether it still runs.
    """

    def __init__(
        self, max_waiting: int, on_abandoned: Callable[[Callable[[], bool]], None] = lambda still_runs: None
    ) -> None:
        self._max_waiting = max_waiting
        self._on_abandoned = on_abandoned
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._thread: threading.Thread | None = None

    async def run(self, call: Callable[[], Result], seconds: float) -> Result:
        """Run a call in the thread. Raises what it raises, Busy and TimedOut."""
        job = _Job(call, asyncio.get_running_loop())
        with self._changed:
            if self._running is not None and len(self._waiting) >= self._max_waiting:
                raise Busy
            self._waiting.append(job)
            if self._thread is None or not self._thread.is_alive():  # the child of a fork has no threads
                # A daemon: a pass that hangs must not keep the process from ending.
                self._thread = threading.Thread(target=self._work, name="predictions", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        try:
            result: Result = await asyncio.wait_for(job.future, max(seconds, 0))
        except TimeoutError:
            if job.future.cancelled():
                raise TimedOut from None
            raise  # the call's own
        finally:
            self._leave(job)
        return result

    def _leave(self, job: _Job) -> None:
        """Nobody waits for the job any more."""
        with self._changed:
            with suppress(ValueError):
                self._waiting.remove(job)
            runs = self._running is job
        if runs:
            self._on_abandoned(lambda: self._running is job)

    def wait_until_free(self, seconds: float) -> bool:
        """Wait until no call runs; False if one still does then."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._running is not None:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                job = self._running = self._waiting.popleft()
            job.run(self._finished)

    def _finished(self) -> None:
        with self._changed:
            self._running = None
            self._changed.notify_all()


class _Job:
    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def run(self, finished: Callable[[], None]) -> None:
        """Run the call. The lane is free before its caller is answered: the next call must not be rejected."""
        result, error = None, None
        try:
            result = self._call()
        except BaseException as raised:  # the thread is needed by the next call
            error = raised
        finished()
        with suppress(RuntimeError):  # the loop of a call that was given up may be closed
            self._loop.call_soon_threadsafe(self._answer, result, error)

    def _answer(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
