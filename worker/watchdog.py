"""Says why before Lambda kills: when a prediction hangs, its requests are given back with the reason `timeout`.

Without it a hung model would look like a crash, and its requests would wait for their lease to end. The watchdog is a
thread: it runs whenever the hung code lets go of the interpreter lock, which torch, ONNX Runtime, I/O and Python loops
do. Code that holds the lock to the end is found by its expired lease instead.
"""

from __future__ import annotations

import threading
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
        self._timer = threading.Timer(max(seconds, 0), bark)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
