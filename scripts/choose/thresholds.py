"""Which values would change the answer: for each number, the nearest below and above with another place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from scripts.choose import rules
from scripts.choose.costs import Costs
from scripts.choose.needs import MOST_MEMORY_MB, MOST_PER_DAY, Needs

FACTOR = 1.25
"""Values are looked at in steps of this factor; a range that is narrower than a step can be missed."""

HALVINGS = 30


@dataclass(frozen=True)
class Threshold:
    """A value at which the answer changes.

    Attributes:
        name: of the make variable. value: the first with another answer, as make takes it.
        above: it is above the given one. place: the other answer.
    """

    name: str
    value: float
    above: bool
    place: str


@dataclass(frozen=True)
class _Number:
    name: str
    of: Callable[[Needs], float | None]
    with_value: Callable[[Needs, float], Needs]
    least: float
    most: float


def _run_ms(needs: Needs, value: float) -> Needs:
    return replace(needs, run_ms=value, longest=needs.longest * value / needs.run_ms)


_NUMBERS = (
    _Number("RATE", lambda n: n.rate, lambda n, v: replace(n, rate=v), 0.1, MOST_PER_DAY),
    _Number("RUN_MS", lambda n: n.run_ms, _run_ms, 0.1, 6e8),
    _Number("MEMORY_MB", lambda n: n.memory_mb, lambda n, v: replace(n, memory_mb=v), 1, MOST_MEMORY_MB),
    _Number("LATENCY", lambda n: n.latency, lambda n, v: replace(n, latency=v), 0.01, 6e5),
    _Number("PEAK", lambda n: n.peak, lambda n, v: replace(n, peak=v), 1, 1000),
    _Number("INPUT_MB", lambda n: n.input_mb or None, lambda n, v: replace(n, input_mb=v), 0.001, 1e6),
    _Number("LONGEST_S", lambda n: n.longest, lambda n, v: replace(n, longest=v), 0.001, 6e5),
)


def thresholds(costs: Costs) -> list[Threshold]:
    """For each number that was given, where the answer changes; the other numbers stay. With RUN_MS the longest run
    grows, too."""
    place = rules.place(costs)

    def place_at(number: _Number, value: float) -> str | None:
        """None: the needs contradict each other there."""
        needs = number.with_value(costs.needs, value)
        if needs.longest < needs.run_seconds or (needs.latency is not None and needs.latency < needs.run_seconds):
            return None
        return rules.place(Costs(needs, costs.prices, costs.measured))

    found = []
    for number in _NUMBERS:
        given = number.of(costs.needs)
        if given is None:
            continue
        for above in (False, True):
            edge = _edge(partial(place_at, number), given, above, number, place)
            if edge is not None and (other := place_at(number, edge)):
                found.append(Threshold(number.name, edge, above, other))
    return found


def _edge(at: Callable[[float], str | None], given: float, above: bool, number: _Number, place: str) -> float | None:
    inside = given
    while number.least < inside < number.most or inside == given:
        outside = inside * FACTOR if above else inside / FACTOR
        if not number.least <= outside <= number.most:
            return None
        found = at(outside)
        if found is None:
            return None
        if found != place:
            break
        inside = outside
    else:
        return None
    for _ in range(HALVINGS):
        middle = math.sqrt(inside * outside)
        if at(middle) == place:
            inside = middle
        else:
            outside = middle
    return outside
