"""Until when the calls to AWS of an invocation have to be over, so that its answer goes out before Lambda ends it.

|-- calls ------------------------------|-- kept back --|-- answer --|
start                                                                Lambda's timeout

The api function keeps time back to withdraw what a submit wrote, a worker to predict what it claimed and to write that.
"""

from __future__ import annotations

import math
import time

from botocore.exceptions import BotoCoreError

ANSWER_SECONDS = 0.5
KEPT_BACK_SECONDS = 3.0


class OutOfTimeError(BotoCoreError):  # type: ignore[misc]
    """A call was not made, since it might not have ended before the deadline."""

    fmt = "no time was left for a call"


class Deadline:
    """One invocation's deadline; none before `start`."""

    def __init__(self) -> None:
        self._end = math.inf
        self._kept_back = 0.0

    def start(self, seconds: float) -> None:
        """An invocation begins that Lambda ends in so many seconds."""
        usable = seconds - ANSWER_SECONDS
        self._end = time.monotonic() + usable
        self._kept_back = min(KEPT_BACK_SECONDS, usable / 3)

    def release(self) -> None:
        """Release the time that was kept back: what follows takes back what was begun, or ends it."""
        self._kept_back = 0.0

    def left(self) -> float:
        """Seconds that calls may take from now on."""
        return self._end - self._kept_back - time.monotonic()
