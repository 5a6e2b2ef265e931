"""How batches of a model without `size` are run: whole, or grouped by the length of their inputs' JSON.

A batch is padded to its longest input: one long text makes a transformer's batch of ten take twice as long. A model
that does not pad, such as a bag of words or rows of a table, gains nothing by more passes, and pays for each. Which one
a model is, is measured: both ways are tried, and the quicker one is kept.

batch that grouping would split     is run
the first of a process              grouped, and not measured: it may also pay for what a model does once
the 1st and the 2nd after it        grouped and whole, to have a measurement of both
the 4th, 8th, ... 256th, 512th,     in the way that was slower so far: its measurements may have been disturbed, and
768th, ...                          inputs change
any other                           in the way that was quicker so far

Measured is the CPU time for each character of a batch, since other processes and Lambda's limits disturb it less than
the clock's. Grouping counts as quicker if it takes less than nine tenths. While a batch takes less than two
milliseconds, there is nothing to gain: the next one is run whole, and its lengths are not even asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from worker.model.bucketing import groups_by_size

JSON_PASS_COST = 128
"""What one more forward pass costs, in characters of JSON. Measured with a transformer of six layers: at 64, batches of
short texts get slower than in one pass; at 256, mixed ones gain less."""

SHORT_SECONDS = 0.002
CLEARLY_LESS = 0.9
"""Of the time that whole batches take: a smaller gain is not told from what disturbs a measurement."""

KEPT = 5
"""Measurements of each way; older ones are forgotten."""

RETRY_EVERY = 256
"""The slower way is tried at each power of two up to this one, then so often."""


class Way(Enum):
    """How a batch is run."""

    WHOLE = "whole"
    GROUPED = "grouped"


@dataclass(frozen=True)
class Passes:
    """Positions of a batch's inputs by forward pass. `way` is None where there was no choice; `length` is the number of
    characters of all inputs."""

    groups: list[list[int]]
    way: Way | None = None
    length: int = 0


class LearnedPasses:
    """Chooses the passes of one model's batches, from the times that its earlier ones took. Not for several threads."""

    def __init__(self) -> None:
        self._rates: dict[Way, deque[float]] = {way: deque(maxlen=KEPT) for way in Way}
        self._number = 0
        self._is_first = True
        self._is_short = False

    def choose(self, count: int, lengths: Callable[[], Sequence[int]]) -> Passes:
        """The passes of a batch of `count` inputs; `lengths` gives the characters of each, and is called if need be."""
        if count < 2 or self._is_short:
            return Passes([list(range(count))] if count else [])
        found = lengths()
        groups = groups_by_size(found, JSON_PASS_COST)
        if len(groups) == 1 or self._is_first:
            return Passes(groups)
        way = self._next()
        return Passes(groups if way is Way.GROUPED else [list(range(count))], way, sum(found))

    def measured(self, passes: Passes, seconds: float) -> None:
        """Take note of how long a batch took. Of one that failed nothing is noted."""
        if self._is_first:
            self._is_first = False
            return
        self._is_short = seconds < SHORT_SECONDS
        if passes.way is not None:
            self._rates[passes.way].append(seconds / passes.length)

    def _next(self) -> Way:
        self._number += 1
        for way in (Way.GROUPED, Way.WHOLE):
            if not self._rates[way]:
                return way
        grouping_helps = self._rate(Way.GROUPED) < CLEARLY_LESS * self._rate(Way.WHOLE)
        return Way.GROUPED if grouping_helps is not _is_retry(self._number) else Way.WHOLE

    def _rate(self, way: Way) -> float:
        """The median, the lower one of two: what disturbs a measurement makes it larger."""
        rates = sorted(self._rates[way])
        return rates[(len(rates) - 1) // 2]


def _is_retry(number: int) -> bool:
    return number % RETRY_EVERY == 0 if number > RETRY_EVERY else number & (number - 1) == 0
