"""When requests come: steadily, through a day, or all at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from async_inference_client._operations import RETRY_SECONDS
from scripts.cost.demand import SECONDS_PER_DAY

PATTERNS = ("steady", "daily", "burst")

BURST = 10_000
"""Requests that come at once in the pattern `burst`, beside the steady ones."""

CLIENT_SECONDS = RETRY_SECONDS
"""How long a client repeats a submit that is rejected: as the Python client does."""

CLIENT_SECONDS = RETRY_SECONDS
"""How long a client repeats a submit that is rejected: as the Python client does."""

CHUNK = 20_000
"""So many arrivals are drawn at a time."""

Rate = Callable[[float], float]
"""Seconds since midnight -> requests per second."""


def steady(per_day: float) -> Rate:
    """The same all day."""
    return lambda _: per_day / SECONDS_PER_DAY


def daily(per_day: float, peak: float) -> Rate:
    """A day with its peak at noon, of so many times the mean: exp(k cos t). A sinusoid's is twice at most."""
    k = _concentration(peak)
    scale = per_day / SECONDS_PER_DAY / float(np.i0(k))
    return lambda at: scale * math.exp(k * math.cos(2 * math.pi * (at / SECONDS_PER_DAY - 0.5)))


def _concentration(peak: float) -> float:
    """k, at which exp(k) is `peak` times the mean of exp(k cos t); 0 for a peak of 1."""
    low, high = 0.0, 500.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.exp(middle) / float(np.i0(middle)) < peak else (low, middle)
    return high if peak > 1 else 0.0


def poisson(rate: Rate, start: float, end: float, most: float, rng: np.random.Generator) -> Iterator[float]:
    """Times of arrivals: a Poisson process with this rate, by thinning one with the rate `most`."""
    at = start
    while at < end:
        times = at + np.cumsum(rng.exponential(1 / most, CHUNK))
        chances: NDArray[np.float64] = rng.random(CHUNK)
        for time, chance in zip(times.tolist(), chances.tolist(), strict=True):
            if time >= end:
                return
            if chance * most <= rate(time):
                yield time
        at = float(times[-1])
