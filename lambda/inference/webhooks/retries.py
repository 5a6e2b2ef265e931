"""When a delivery is repeated, and when it is given up.

    attempt   1    2    3      4       5     6     7      8
    after     0    5 s  5 min  30 min  2 h   5 h   10 h   12 h     29.6 hours in all

A delay of up to `SHORT_DELAY_SECONDS` is the visibility timeout of the delivery's message; after a longer one
the sweeper sends another message.
"""

from __future__ import annotations

from typing import NamedTuple

DELAYS_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 43_200)
MAX_DELIVERIES = len(DELAYS_SECONDS) + 1
"""Attempts of one outcome's delivery, or after a resend."""

SHORT_DELAY_SECONDS = 900
MAX_RETRY_AFTER_SECONDS = 43_200
"""A receiver's `Retry-After` is honoured up to this time."""

MESSAGE_GRACE_MS = 900_000
"""So long after a message should have come, the sweeper sends another."""

GONE = 410


class Answer(NamedTuple):
    """What came of one attempt.

    Attributes:
        status: the response's; None: no response, and `error` says why.
        retry_after: the response's header of that name.
        refused: the address may not be called: no other attempt can succeed.
    """

    status: int | None = None
    error: str | None = None
    retry_after: str | None = None
    refused: bool = False
    duration_ms: int = 0


class Delivered(NamedTuple):
    """The receiver has it."""


class Retry(NamedTuple):
    """Another attempt comes, after so many seconds."""

    seconds: int

    @property
    def by_message(self) -> bool:
        """Whether the delivery's message waits for it; else the sweeper sends another."""
        return self.seconds <= SHORT_DELAY_SECONDS


class GivenUp(NamedTuple):
    """No other attempt is made. `dead_letter`: it is for an operator to look at."""

    reason: str
    dead_letter: bool


Decision = Delivered | Retry | GivenUp


def decide(answer: Answer, attempt: int, attempt_limit: int, now: int, delete_at: int) -> Decision:
    """What follows from an answer. A redirect is a failure: its address is not the one that the client gave.

    Args:
        attempt: the number of this attempt, from 1. attempt_limit: of the last one.
        now: epoch milliseconds. delete_at: the end of the record's retention, epoch seconds.
    """
    if answer.status is not None and 200 <= answer.status < 300:
        return Delivered()
    if answer.status == GONE:
        return GivenUp("the receiver answered 410: it wants no more deliveries", dead_letter=False)
    if answer.refused:
        return GivenUp(answer.error or "the address is not allowed", dead_letter=False)
    if attempt >= attempt_limit:
        return GivenUp("no attempt is left", dead_letter=True)
    made = min(max(attempt - (attempt_limit - MAX_DELIVERIES), 1), len(DELAYS_SECONDS))
    seconds = max(DELAYS_SECONDS[made - 1], retry_after_seconds(answer.retry_after, now))
    if now // 1000 + seconds >= delete_at:
        return GivenUp("the request's retention ends before the next attempt", dead_letter=True)
    return Retry(seconds)


def retry_after_seconds(value: str | None, now: int) -> int:
    """Seconds of a Retry-After header (RFC 9110: seconds, or a date), at most `MAX_RETRY_AFTER_SECONDS`; 0 if it is
    missing or can't be read."""
    text = (value or "").strip()
    if not text.isascii():
        return 0
    from email.utils import parsedate_to_datetime  # every function imports this module, and one parses dates

    if text.isdecimal():
        seconds = int(text[:12])
    else:
        try:
            seconds = int(parsedate_to_datetime(text).timestamp()) - now // 1000
        except (ValueError, OverflowError):
            return 0
    return min(max(seconds, 0), MAX_RETRY_AFTER_SECONDS)
