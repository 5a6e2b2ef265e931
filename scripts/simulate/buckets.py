"""Rates: token buckets that also say how much was asked of them."""

from __future__ import annotations

import math

WINDOW_SECONDS = 10.0
"""What is asked per second is the mean of so many seconds; `busiest` is that of the busiest ones."""


class Bucket:
    """A token bucket. Times must not go back.

    Args:
        rate: tokens that come per second.
        size: the most that it holds; it begins full.
    """

    def __init__(self, rate: float, size: float) -> None:
        self.rate = rate
        self._size = size
        self._tokens = size
        self._at = -math.inf
        self._window = -1.0
        self._asked = self._most = 0.0

    @property
    def busiest(self) -> float:
        """Tokens asked for per second in the busiest WINDOW_SECONDS."""
        return self._most / WINDOW_SECONDS

    def take(self, now: float, count: float = 1) -> bool:
        """Take tokens, if there are as many."""
        self._pass(now, count)
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def reserve(self, now: float, count: float, patience: float) -> float | None:
        """Take tokens, those that are to come too: seconds until there are as many. None, and none taken, if that is
        more than `patience`."""
        self._pass(now, count)
        wait = (count - self._tokens) / self.rate
        if wait > patience:
            return None
        self._tokens -= count
        return wait if wait > 0 else 0.0

    def resize(self, rate: float, size: float) -> None:
        """From now on another rate and size; what it holds stays."""
        self.rate, self._size = rate, size

    def _pass(self, now: float, count: float) -> None:
        tokens = self._tokens + (now - self._at) * self.rate
        self._tokens = self._size if tokens > self._size else tokens
        self._at = now
        window = now // WINDOW_SECONDS
        if window != self._window:
            self._window, self._asked = window, 0.0
        self._asked += count
        if self._asked > self._most:
            self._most = self._asked
