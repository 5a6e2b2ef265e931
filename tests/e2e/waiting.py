"""Waiting with a named deadline: a test that waits says for what, and how long it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.2

Value = TypeVar("Value")


def eventually(description: str, seconds: float, predicate: Callable[[], Value]) -> Value:
    """Poll until the predicate gives something true, and return it.

    Raises:
        AssertionError: it did not in time; the text has the description and the last value.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {description} (last: {value!r})"
        time.sleep(POLL_SECONDS)
