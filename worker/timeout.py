"""Calls a handler shortly before Lambda stops the process, so that requests of a hanging prediction get the reason.

Without it a hanging model would look like a crash, and its requests would wait for their lease to end. The handler runs
in a thread, when the hanging code releases the interpreter lock, as torch, ONNX Runtime, I/O and Python loops do. For
code that never releases it, the lease expires instead.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Timeout:
    """Calls `on_timeout` once, in a thread of its own, if the block takes longer than its time. No call starts after
    the block has ended.

    Args:
        seconds: the block's time; if it is not positive, the call comes at once.
        on_timeout: must be safe to run concurrently with the block.
    """

    def __init__(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self.seconds = seconds
        self._on_timeout = on_timeout
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> Self:
        _timer.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _timer.remove(self)
        with self._lock:
            self._over = True

    def call(self) -> None:
        """The time has passed."""
        with self._lock:
            if self._over:
                return
            self._over = True
        self._on_timeout()


class _Timer:
    """The thread that waits for all timeouts: one for the process, since starting one for each pass takes as long as
    two small requests. It sleeps until the earliest timeout; adding or removing one wakes it only if it would be too
    late.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._times: dict[Timeout, float] = {}
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def add(self, timeout: Timeout) -> None:
        with self._changed:
            at = time.monotonic() + timeout.seconds
            self._times[timeout] = at
            if self._thread is None or not self._thread.is_alive():  # the child of a fork has no threads
                self._thread = threading.Thread(target=self._run, name="timeouts", daemon=True)
                self._thread.start()
            elif at < self._wakes_at:
                self._changed.notify()

    def remove(self, timeout: Timeout) -> None:
        with self._changed:
            self._times.pop(timeout, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for timeout in [timeout for timeout, at in self._times.items() if at <= now]:
                    del self._times[timeout]
                    threading.Thread(target=timeout.call, name="on-timeout", daemon=True).start()
                self._wakes_at = min(self._times.values(), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)


_timer = _Timer()
