"""One invocation and its remaining time; the delay before a retry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Invocation:
    """An invocation: its id, the milliseconds until Lambda ends it, and the time in epoch milliseconds."""

    invocation_id: str
    remaining_ms: Callable[[], int]
    now: Callable[[], int]


@dataclass(frozen=True)
class RetryDelay:
    """Seconds until the next attempt: doubling from `base`, at most `maximum`."""

    base: int
    maximum: int

    def after(self, attempt: int) -> int:
        return int(min(self.base * 2 ** (attempt - 1), self.maximum))
