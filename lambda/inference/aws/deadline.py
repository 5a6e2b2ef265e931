"""The time by which an invocation's calls to AWS must end, so that it can respond before Lambda's timeout.

|-- calls ------------------------------|-- reserved --|-- response --|
start                                                                 Lambda's timeout

The api function reserves time to discard the record of a failed submit; a worker, to predict and to write outcomes.
"""

from __future__ import annotations

import math
import time

from botocore.exceptions import BotoCoreError

ANSWER_SECONDS = 0.5
RESERVED_SECONDS = 3.0


class OutOfTimeError(BotoCoreError):  # type: ignore[misc]
    """A call was not made, because it might not have ended before the deadline."""

    fmt = "no time was left for a call"


class Deadline:
    """One invocation's deadline; none before `start`."""

    def __init__(self) -> None:
        self._end = math.inf
        self._reserved = 0.0

    def start(self, seconds: float) -> None:
        """Start an invocation that Lambda ends after this many seconds."""
        usable = seconds - ANSWER_SECONDS
        self._end = time.monotonic() + usable
        self._reserved = min(RESERVED_SECONDS, usable / 3)

    def release_reserve(self) -> None:
        """Let the following calls use the reserved time."""
        self._reserved = 0.0

    def remaining(self) -> float:
        """Seconds left for calls."""
        return self._end - self._reserved - time.monotonic()
