"""When a held request is looked at next."""

from __future__ import annotations

from dataclasses import dataclass

HOLD_MARGIN_MS = 60_000
"""A hold's lease ends this long after its next look: until then nobody takes the request for lost. A message may wait
for a free environment."""

UNCERTAIN_SECONDS = 60
"""How long a submit without an answer may still be announced by its run's callback, before the next attempt."""

CALLBACK_SECONDS = 180
"""A run that is over at a provider whose callback alone tells the outcome: so long the callback may still come."""

GONE_GRACE_MS = 30_000
"""A run that the provider does not know so soon after its submit may not be visible there yet."""


@dataclass(frozen=True)
class LookDelay:
    """Seconds until the next look: half of the time since the run began, from `minimum` to `maximum`. A short run is
    seen soon, and a long one takes few looks; each is a receive of the message, of which SQS allows a thousand."""

    minimum: int
    maximum: int

    def after(self, waited_ms: int) -> int:
        return max(self.minimum, min(waited_ms // 2000, self.maximum))


def until_deadline(seconds: int, expires_at: int, now: int) -> int:
    """The delay, cut so that the last look comes right after the deadline."""
    return max(1, min(seconds, -(-(expires_at - now) // 1000) + 1))
