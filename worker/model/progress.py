"""How far a model is with its pass: `Model.progress` reports here, and who runs the model says where it goes.

There is one pass at a time in a process, and a model may report from threads of its own: so it is a variable of this
module, and no argument or context variable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MAX_MESSAGE_CHARACTERS = 200

Report = Callable[[float, str], None]
"""Takes a fraction from 0 to 1, and a message of at most MAX_MESSAGE_CHARACTERS."""

_report: Report | None = None


def report(fraction: float, message: str) -> None:
    """Report how far the pass is; outside of `reporting` nobody is told.

    Raises:
        ValueError: the fraction is no number. One below 0 or above 1 is taken as that: sums of floats are not exact.
    """
    number = float(fraction)
    if math.isnan(number):
        raise ValueError("progress has to be a number from 0 to 1, not nan")
    if (to := _report) is not None:
        to(min(max(number, 0.0), 1.0), str(message)[:MAX_MESSAGE_CHARACTERS])


@contextmanager
def reporting(to: Report) -> Iterator[None]:
    """Send what is reported within the block to a function. It must be safe to call from other threads."""
    global _report
    _report = to
    try:
        yield
    finally:
        _report = None
