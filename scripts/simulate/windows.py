"""Which part of a day is simulated, and how the parts make a day.

Up to `budget` requests a day, the whole day is simulated, or several where there are few. Above, parts of it: of a
steady day one, of a daily one STRATA, from noon to midnight, each at the rate of its time and weighted with the
requests of its stratum. A part begins in the state that the time before it has left: environments and pollers as
Little's law has them, a table that is used to this rate. What comes in its first LEAD_SECONDS is not counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from scripts.cost.demand import SECONDS_PER_DAY
from scripts.cost.requests import RECORD_WRITES
from scripts.simulate import arrivals
from scripts.simulate.arrivals import Rate
from scripts.simulate.limits import Limits
from scripts.simulate.runs import SAMPLE_SECONDS, Arrivals, Faults, Run, Start
from scripts.simulate.simulation import Simulation
from scripts.simulate.system import System

BUDGET = 60_000
"""Requests that are simulated, at most about."""

ENOUGH, MOST_DAYS = 5_000, 5
"""Days are simulated until there are so many requests, and at most so many days."""

STRATA = 6
LEAD_SECONDS = 12.0
"""Of a part, or twice a request's time in a worker: longer than the ten seconds of the busiest rate."""

SHORTEST_SECONDS = 8.0
"""Of a part: in less it is not seen whether a queue grows."""

OVER = 1.05
"""More than it has was asked of a resource, and not by chance."""

ROOM = 1.5
"""Environments and pollers that a part begins with, over those that run on average."""


@dataclass(frozen=True)
class Demand:
    """What comes.

    Attributes:
        per_day: requests. pattern: of arrivals.PATTERNS. peak: of a daily one, over the mean.
        burst: requests that come at once, in that pattern.
        polls: status queries for each request. callers: who submit, as much each.
        client_seconds: how long a client repeats a submit that is rejected.
        faults: that happen.
    """

    per_day: float
    pattern: str = "daily"
    peak: float = 3.0
    burst: int = arrivals.BURST
    polls: int = 2
    callers: int = 1
    client_seconds: float = arrivals.CLIENT_SECONDS
    faults: Faults | None = None

    @property
    def busiest(self) -> float:
        """Requests per second at the busiest time, the burst aside."""
        return self.per_day / SECONDS_PER_DAY * (self.peak if self.pattern == "daily" else 1.0)

    @property
    def rate(self) -> Rate:
        """Of the requests that are not a burst."""
        return arrivals.daily(self.per_day, self.peak) if self.pattern == "daily" else arrivals.steady(self.per_day)


@dataclass(frozen=True)
class Part:
    """A part of a day: from when to when in seconds since midnight, and the requests that it stands for; `warm`:
    something came before it."""

    start: float
    end: float
    weight: float
    warm: bool


@dataclass(frozen=True)
class Day:
    """What was seen in all parts.

    Attributes:
        demand: what came. parts, runs: what was simulated.
        p50, p95, p99, longest: seconds from the submit to the outcome.
        ends: how requests ended -> their share.
        concurrency: workers that run at a time, on average; most: in the busiest ten seconds.
        fill, cold, api_cold: see Run. asked: resource -> what was asked of it at most, what it has.
        refused: calls and batches that were refused, by what, in what was simulated.
        growth: messages that wait more after each second, in the busiest part: more than a few is a queue without end.
    """

    demand: Demand
    parts: tuple[Part, ...]
    runs: tuple[Run, ...]
    p50: float
    p95: float
    p99: float
    longest: float
    ends: dict[str, float]
    concurrency: float
    most: float
    fill: float
    cold: float
    api_cold: float
    asked: dict[str, tuple[float, float]]
    refused: Counter[str]
    growth: float

    @property
    def simulated(self) -> int:
        """Requests that were counted."""
        return sum(run.requests for run in self.runs)

    @property
    def keeps_up(self) -> bool:
        """Whether no queue grows all the time, no client gives up, and no more calls come than are let through."""
        asked = max(asked / has for asked, has in self.asked.values())
        queue = self.growth < 0.02 * self.demand.busiest + 0.05
        return queue and self.ends.get("rejected", 0.0) < 0.001 and (self.demand.pattern == "burst" or asked < OVER)


def simulate(
    system: System, limits: Limits, demand: Demand, *, seed: int = 1, budget: int = BUDGET, at_the_peak: bool = False
) -> Day:
    """Simulate a day.

    Args:
        system, limits: what the requests come to.
        demand: what comes.
        seed: everything random follows from it.
        budget: requests that are simulated, at most about.
        at_the_peak: only the busiest part is.
    """
    found = parts(demand, budget)[: 1 if at_the_peak else None]
    runs = [_run(system, limits, demand, part, seed + number) for number, part in enumerate(found)]
    return _merged(demand, found, runs)


def parts(demand: Demand, budget: int) -> list[Part]:
    """The parts of the day that are simulated."""
    per_day, rate = demand.per_day, demand.rate
    if demand.pattern == "burst":
        return [Part(0.0, 1e-6, demand.burst, warm=True)]
    if per_day <= budget:
        days = min(MOST_DAYS, math.ceil(ENOUGH / per_day))
        return [Part(0.0, float(days * SECONDS_PER_DAY), per_day * days, warm=False)]
    if demand.pattern == "steady":
        return [Part(0.0, budget / (per_day / SECONDS_PER_DAY), per_day, warm=True)]
    length = SECONDS_PER_DAY / 2 / STRATA
    found = []
    for number in range(STRATA):
        began = SECONDS_PER_DAY / 2 + number * length
        steps = np.linspace(began, began + length, 25)
        weight = 2 * length * float(np.mean([rate(step) for step in steps]))
        at = began + (length / 2 if number else 0.0)  # the first at the peak itself
        lasts = min(max(budget / STRATA / rate(at), SHORTEST_SECONDS), length)
        found.append(Part(at - lasts / 2, at + lasts / 2, weight, warm=True))
    return found


def _run(system: System, limits: Limits, demand: Demand, part: Part, seed: int) -> Run:
    rate = demand.rate
    most = demand.busiest
    lead = max(LEAD_SECONDS, 2 * system.run.mean(1)) if part.warm else 0.0
    rng = np.random.default_rng(seed)
    after = 2 * (part.end - part.start) if demand.pattern != "burst" else float(SECONDS_PER_DAY)
    times: Iterator[float] = arrivals.poisson(rate, part.start - lead, part.end + after, most, rng)
    if demand.pattern == "burst":
        times = _with_burst(times, demand.burst)
    sent = Arrivals(times, (part.start, part.end), demand.polls, demand.callers, demand.client_seconds)
    start = _start(system, limits, demand, rate((part.start + part.end) / 2)) if part.warm else None
    return Simulation(system, limits, sent, seed, demand.faults, start).run()


def _with_burst(times: Iterator[float], burst: int) -> Iterator[float]:
    """The steady ones, and all of the burst at 0. They are moved off the counted time."""
    before = True
    for time in times:
        if before and time >= 0:
            yield from repeat(0.0, burst)
            before = False
        yield max(time, 1e-3) if time >= 0 else time
    if before:
        yield from repeat(0.0, burst)


def _start(system: System, limits: Limits, demand: Demand, rate: float) -> Start:
    """What the time before has left."""
    cap = min(limits.most_pollers, system.worker.maximum_concurrency or limits.most_pollers)
    running = min(rate * system.run.mean(1), cap, limits.concurrency)
    calls = rate * (system.submit_seconds + demand.polls * system.status_seconds)
    quiet = demand.pattern == "burst" and rate * limits.keep_seconds < 1
    return Start(
        pollers=max(limits.pollers, math.ceil(running * ROOM)),
        api=0 if quiet else math.ceil(calls * ROOM) + 1,
        worker=0 if quiet else math.ceil(running * ROOM) + 1,
        writes=rate * RECORD_WRITES,
    )


def _merged(demand: Demand, found: Sequence[Part], runs: Sequence[Run]) -> Day:
    weights = np.array([part.weight for part in found]) / sum(part.weight for part in found)
    values = np.concatenate([np.array(run.latencies) for run in runs])
    each = np.concatenate(
        [np.full(len(run.latencies), weight / max(1, run.requests)) for run, weight in zip(runs, weights, strict=True)]
    )
    p50, p95, p99, longest = quantiles(values, each, (0.5, 0.95, 0.99, 1.0))
    ends: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for run, weight in zip(runs, weights, strict=True):
        for end, count in run.ends.items():
            ends[end] += count / run.requests * float(weight)  # type: ignore[assignment]
        refused.update(run.refused)

    def mean(values: Sequence[float]) -> float:
        return float(np.dot(weights, values))

    # Strata are equally long, so the mean over time is not that over requests.
    running = [float(np.mean([sample[1] for sample in run.samples] or [0])) for run in runs]
    names = runs[0].asked
    return Day(
        demand=demand,
        parts=tuple(found),
        runs=tuple(runs),
        p50=p50,
        p95=p95,
        p99=p99,
        longest=longest,
        ends=dict(ends),
        concurrency=float(np.mean(running)),
        most=max(run.asked["maximum_concurrency"][0] for run in runs),
        fill=1 / mean([1 / run.fill for run in runs]),
        cold=mean([run.cold for run in runs]),
        api_cold=mean([run.api_cold for run in runs]),
        asked={name: max((run.asked[name] for run in runs), key=lambda pair: pair[0] / pair[1]) for name in names},
        refused=+refused,
        growth=max(_growth(run) for run in runs),
    )


def _growth(run: Run) -> float:
    """Messages that wait more after each second, from the middle of the second quarter to that of the last."""
    waiting = [sample[4] for sample in run.samples[: math.ceil(run.seconds / SAMPLE_SECONDS)]]
    quarter = len(waiting) // 4
    if quarter == 0:
        return 0.0
    return float(np.mean(waiting[-quarter:]) - np.mean(waiting[quarter : 2 * quarter])) / (2 * quarter)


def quantiles(values: NDArray[np.float64], weights: NDArray[np.float64], shares: Sequence[float]) -> list[float]:
    """The values below which these shares of the weights are; not a number where there are no values."""
    if not len(values):
        return [math.nan] * len(shares)
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    places = np.searchsorted(sums, np.array(shares) * sums[-1] * (1 - 1e-12))
    return [float(values[order[min(place, len(values) - 1)]]) for place in places]
