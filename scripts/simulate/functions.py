"""Execution environments of functions: which invocation starts cold, and what the account's concurrency refuses."""

from __future__ import annotations

import heapq
from enum import IntEnum

from scripts.simulate.buckets import Bucket


class _Kind(IntEnum):
    ON_DEMAND = 0
    PROVISIONED = 1
    LOST = 2  # it ends with its invocation


class Account:
    """The executions of all functions, at most so many at a time."""

    def __init__(self, quota: int) -> None:
        self._quota = quota
        self._functions: list[Function] = []
        self.refused = 0

    def add(self, function: Function) -> None:
        """One more function, whose executions count."""
        self._functions.append(function)

    def admits(self, now: float) -> bool:
        """Whether one more may run."""
        running = 0
        for function in self._functions:
            running += function.running(now)
        if running >= self._quota:
            self.refused += 1
            return False
        return True


class Function:
    """One function's environments.

    Args:
        account: whose concurrency it shares.
        init_seconds: of a cold start, until it takes the event.
        provisioned: environments that are always ready.
        warm: environments on demand that are there at the start, idle.
        keep_seconds: how long an idle one is kept.
        new_environments: that may start per second; ten seconds' worth at once.
    """

    def __init__(
        self,
        account: Account,
        init_seconds: float,
        *,
        provisioned: int = 0,
        warm: int = 0,
        keep_seconds: float = 300,
        new_environments: float = 100,
        now: float = 0.0,
    ) -> None:
        account.add(self)
        self._account = account
        self._init_seconds = init_seconds
        self._keep_seconds = keep_seconds
        self._starts = Bucket(new_environments, 10 * new_environments)
        self._ready = provisioned
        self._idle = [now] * warm  # since when, in this order
        self._busy: list[tuple[float, _Kind]] = []
        self.cold_starts = 0
        self.invocations = 0

    def running(self, now: float) -> int:
        """How many run."""
        busy = self._busy
        while busy and busy[0][0] <= now:
            end, kind = heapq.heappop(busy)
            if kind is _Kind.PROVISIONED:
                self._ready += 1
            elif kind is _Kind.ON_DEMAND:
                self._idle.append(end)
        return len(busy)

    def start(self, now: float, seconds: float, *, lost: bool = False) -> float | None:
        """Invoke: when it ends. None: it is throttled.

        Args:
            seconds: it runs, beside INIT. lost: whether its environment ends with it.
        """
        if not self._account.admits(now):
            return None
        kind = _Kind.ON_DEMAND
        init = 0.0
        if self._ready:
            self._ready -= 1
            kind = _Kind.PROVISIONED
        elif self._idle and now - self._idle[-1] <= self._keep_seconds:
            self._idle.pop()
        else:
            self._idle.clear()  # the others are idle for longer
            if not self._starts.take(now):
                return None
            self.cold_starts += 1
            init = self._init_seconds
        end = now + init + seconds
        heapq.heappush(self._busy, (end, _Kind.LOST if lost and kind is _Kind.ON_DEMAND else kind))
        self.invocations += 1
        return end
