"""How long to pause between two calls. Pauses are random, so that clients that began together don't stay together."""

import random
from collections.abc import Callable

from async_inference_client.errors import InferenceError

POLL_SECONDS = 1.0
"""Between two polls if the API names no time."""

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 10.0
SHORTEST_SECONDS = 0.1
"""A Retry-After of 0 must not become a busy loop."""

SPREAD = 1.25
"""A Retry-After is the shortest pause, and this many times of it is the longest."""


class Pauses:
    """Seconds to pause.

    Args:
        uniform: a random number between two.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform

    def before_poll(self, retry_after: float | None) -> float:
        """Until the next poll of a request that is not final."""
        return self._at_least(POLL_SECONDS if retry_after is None else retry_after)

    def before_retry(self, error: InferenceError, failures: int) -> float | None:
        """Until the next try after so many that failed in a row; None if it would fail too.

        Where the API names no time, it doubles with each failure, up to a longest.
        """
        if not error.retryable:
            return None
        if error.retry_after is not None:
            return self._at_least(error.retry_after)
        longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_BACKOFF_SECONDS)
        return self._uniform(longest / 2, longest)

    def _at_least(self, seconds: float) -> float:
        base = max(seconds, SHORTEST_SECONDS)
        return self._uniform(base, base * SPREAD)
