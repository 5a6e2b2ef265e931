"""Says why before Lambda kills: when a prediction hangs, its requests are given back with the reason `timeout`.

Without it a hung model would look like a crash, and its requests would wait for their lease to end. It barks in a
thread, which runs whenever the hung code lets go of the interpreter lock, as torch, ONNX Runtime, I/O and Python loops
do. Code that holds the lock to the end is found by its expired lease instead.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Watchdog:
    """Calls `bark` once, in a thread of its own, when the time is up before the block is left.

    Args:
        seconds: until it barks; at once when it is not positive.
        bark: what to do; must be safe to run beside the block.
    """

    def __init__(self, seconds: float, bark: Callable[[], None]) -> None:
        self.seconds = seconds
        self.bark = bark

    def __enter__(self) -> Self:
        _keeper.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _keeper.remove(self)


class _Keeper:
    """The thread that waits for all watchdogs: one for the process, since to start one for each pass costs as much as
    two small requests. It sleeps until the earliest time that it knew when it fell asleep; who comes and goes does not
    wake it, unless that was too late.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._times: dict[Watchdog, float] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def add(self, watchdog: Watchdog) -> None:
        with self._changed:
            at = time.monotonic() + watchdog.seconds
            self._times[watchdog] = at
            if self._thread is None or not self._thread.is_alive():  # the child of a fork has no threads
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif at < self._wakes_at:
                self._changed.notify()

    def remove(self, watchdog: Watchdog) -> None:
        with self._changed:
            self._times.pop(watchdog, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for watchdog in [watchdog for watchdog, at in self._times.items() if at <= now]:
                    del self._times[watchdog]
                    threading.Thread(target=watchdog.bark, name="watchdog-barks", daemon=True).start()
                self._wakes_at = min(self._times.values(), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)


_keeper = _Keeper()
