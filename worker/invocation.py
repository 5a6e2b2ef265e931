"""One invocation: how long it may take, what it has to give back, and what it holds while the model works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.claims import Claim, Claimer
from worker.delivery import Delivery, Unreadable


@dataclass(frozen=True)
class Invocation:
    """One invocation's facts: its id, the milliseconds until Lambda ends it, and the time in epoch milliseconds."""

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


@dataclass
class Run:
    """What one invocation has to give back: message ids that failed, and when their messages shall come back."""

    claimer: Claimer
    invocation: Invocation
    failed: list[str] = field(default_factory=list)
    delays: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    worked: bool = False

    def give_back(self, delivery: Delivery | Unreadable, seconds: int | None) -> None:
        """Report a message as failed; None leaves its visibility as it is."""
        self.failed.append(delivery.message_id)
        if seconds is not None:
            self.delays[delivery.receipt_handle] = seconds
        self.count("returned")

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


@dataclass
class Hung:
    """What the watchdog would have to give up; whoever empties it, under the lock, settles the claims."""

    claims: list[Claim]
    loading: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)
