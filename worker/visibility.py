"""How long the messages of one invocation stay hidden from other workers: those at work until its leases end, those
that wait for another pass only for the time of a few passes.

If this process hangs or is killed, the waiting ones come back soon. They were not claimed, so they lose no attempt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from worker.delivery import Delivery

RETURN_AFTER_PASSES, RETURN_AFTER_SECONDS = 3, 2
"""Waiting messages become visible again after this many times the time that the pass before them is expected to take,
plus these seconds. The time is extended before each pass: normally none becomes visible, and no receive is used up."""

UNKNOWN_PASS_MS = 5_000
"""Expected of the pass of a model that this process has not loaded yet: the first import of torch takes that long."""

OVER_MS = 500
"""Messages that become visible within this time are left to other workers: SQS may be ahead of this clock."""


class Visibility:
    """Sets the visibility timeouts of one invocation's messages.

    Args:
        set_visibility: receipt handle -> seconds from now.
        lease_until: when the invocation's leases end (epoch ms).
    """

    def __init__(self, set_visibility: Callable[[Mapping[str, int]], None], lease_until: int) -> None:
        self._set = set_visibility
        self._lease_until = lease_until
        self._shown_at = lease_until

    def lease_seconds(self, now: int) -> int:
        """Seconds until this invocation's leases end."""
        return (self._lease_until - now) // 1000 + 1

    def hide(
        self, at_work: Sequence[Delivery], waiting: Sequence[Delivery], expected_ms: float | None, now: int
    ) -> None:
        """Hide what the next pass works on, and for a shorter time what waits for it; what is in both waits.

        Args:
            expected_ms: how long the pass may take; None if that is unknown.
        """
        lease = self.lease_seconds(now)
        seconds = min(return_seconds(expected_ms), lease)
        self._shown_at = now + seconds * 1000
        self._set(
            {delivery.receipt_handle: lease for delivery in at_work}
            | {delivery.receipt_handle: seconds for delivery in waiting}
        )

    def waiting_are_shown(self, now: int) -> bool:
        """Whether the pass took so long that other workers can receive the waiting messages by now."""
        return now >= self._shown_at - OVER_MS


def return_seconds(expected_ms: float | None) -> int:
    """After which time waiting messages come back by themselves."""
    expected = UNKNOWN_PASS_MS if expected_ms is None else expected_ms
    return math.ceil(expected * RETURN_AFTER_PASSES / 1000) + RETURN_AFTER_SECONDS
