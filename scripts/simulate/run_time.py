"""How long a worker takes for a batch: its calls, and the model's time for each request, which varies."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from scripts.cost.measured import Measured
from scripts.cost.requests import ASSUMED_CALL_MS, MEMORY_MB_PER_VCPU

ASSUMED_SPREAD = 0.5
"""Standard deviation of a request's time over its mean."""


@dataclass(frozen=True)
class Spread:
    """How durations differ from their mean.

    Attributes:
        deviation: standard deviation over the mean, log-normal, of a request's time and of the calls of AWS; 0: all are
            equal.
        slow: the share of requests that are slow, 0 to 1. times: how much longer the model takes for those. The mean
            stays what it is.
    """

    deviation: float = ASSUMED_SPREAD
    slow: float = 0.0
    times: float = 1.0

    def factors(self, rng: random.Random) -> Callable[[], float]:
        """Gives a duration over its mean."""
        if not self.deviation:
            return lambda: 1.0
        variance = math.log(1 + self.deviation**2)
        mean, sigma = -variance / 2, math.sqrt(variance)
        return lambda: rng.lognormvariate(mean, sigma)

    def of_requests(self, rng: random.Random) -> Callable[[], float]:
        """The same for the model's time for a request, of which some are slow."""
        factor = self.factors(rng)
        if not self.slow:
            return factor
        quick = 1 / (1 - self.slow + self.slow * self.times)
        return lambda: factor() * quick * (self.times if rng.random() < self.slow else 1.0)


@dataclass(frozen=True)
class RunTime:
    """Of a batch, in seconds.

    Attributes:
        fixed: requests in the batch -> what it takes beside the requests' own time: calls of AWS, CPU of the batch.
        each: a request's own time, on average.
        spread: of that.
    """

    fixed: tuple[float, ...]
    each: float
    spread: Spread = Spread()

    def mean(self, requests: int) -> float:
        """Of a batch with so many requests."""
        return self.fixed[requests] + self.each * requests


def run_time(measured: Measured, run_ms: float | None, memory_mb: int, batch_size: int, spread: Spread) -> RunTime:
    """A worker's, by the rules of the bill: scripts/cost/requests.py.

    Args:
        measured: calls of AWS, and CPU where no time is given.
        run_ms: the model's time for a request at this memory; None: the measured CPU.
        memory_mb: of the worker. batch_size: the largest batch.
        spread: how the requests' times differ.
    """
    calls = [measured.at(number).calls * number * ASSUMED_CALL_MS / 1000 for number in range(1, batch_size + 1)]
    if run_ms is not None:
        return RunTime((0.0, *calls), run_ms / 1000, spread)
    share = min(1.0, memory_mb / MEMORY_MB_PER_VCPU) * 1000
    alone = measured.at(1).cpu_ms / share
    each = max(0.0, measured.at(2).cpu_ms * 2 / share - alone)
    return RunTime((0.0, *(of_calls + alone - each for of_calls in calls)), each, spread)


def at_memory(run_ms: float, known_mb: int, memory_mb: int) -> float:
    """The time at another memory size: in proportion up to one vCPU, of which one thread can use no more."""
    return run_ms * min(1.0, known_mb / MEMORY_MB_PER_VCPU) / min(1.0, memory_mb / MEMORY_MB_PER_VCPU)
