"""The same requests on machines that are paid by the hour: an instance, and a SageMaker asynchronous endpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from scripts.cost.demand import SECONDS_PER_DAY, Load
from scripts.cost.prices import DAYS_PER_MONTH, Line, Machine, Prices

PerMonth = Callable[[float], float]
"""Requests a day -> dollars a month."""

ASSUMED_UTILISATION = 0.7
"""Of a machine's vCPUs, at the peak: above it waits grow fast."""

ASSUMED_SCALE_IN_SECONDS = 900
"""How long an endpoint goes on without a request before its last instance is stopped."""

MOST_PER_DAY = 1e9
STEPS = 180
"""Traffic is looked at in so many steps, each a tenth more than the last."""


def machines(machine: Machine, loads: Iterable[Load], peak: float) -> int:
    """How many machines do the work at the peak; at least one."""
    busy = sum(load.per_day / SECONDS_PER_DAY * load.vcpu_seconds for load in loads) * peak
    return max(1, math.ceil(round(busy / (machine.vcpus * ASSUMED_UTILISATION), 9)))


def instances_per_month(prices: Prices, loads: Iterable[Load], peak: float) -> float:
    """Dollars a month of instances that are always on, alone: no load balancer, queue, disk or second one."""
    return machines(prices.instance, loads, peak) * prices.instance.per_month


def sagemaker_per_month(prices: Prices, loads: list[Load], peak: float, polls: float) -> float:
    """Dollars a month of an asynchronous endpoint that scales to zero: its instances, and S3 for inputs and results.

    It runs from a request until ASSUMED_SCALE_IN_SECONDS after the last one; arrivals are taken for Poisson's. Those
    beyond the first run all the time: at that traffic there are few pauses.
    """
    per_day = sum(load.per_day for load in loads)
    if not per_day:
        return 0.0
    up = 1 - math.exp(-per_day / SECONDS_PER_DAY * ASSUMED_SCALE_IN_SECONDS)
    requests = per_day * DAYS_PER_MONTH
    storage = [Line("S3", "s3_puts", 2 * requests), Line("S3", "s3_gets", (1 + polls) * requests)]
    count = machines(prices.sagemaker, loads, peak)
    return (up + count - 1) * prices.sagemaker.per_month + prices.bill(storage)["S3"]


def cheaper(ours: PerMonth, other: PerMonth) -> list[tuple[float, float | None]]:
    """The ranges of requests a day in which the other costs less, within 1 to MOST_PER_DAY. No end: up to there."""

    def is_less(per_day: float) -> bool:
        return other(per_day) < ours(per_day)

    def edge(before: float, after: float) -> float:
        first = is_less(before)
        for _ in range(40):
            middle = math.sqrt(before * after)
            before, after = (middle, after) if is_less(middle) == first else (before, middle)
        return after

    found: list[tuple[float, float | None]] = []
    before = 1.0
    start = before if is_less(before) else None
    for step in range(1, STEPS + 1):
        now = float(MOST_PER_DAY ** (step / STEPS))
        if is_less(now) and start is None:
            start = edge(before, now)
        elif start is not None and not is_less(now):
            found.append((start, edge(before, now)))
            start = None
        before = now
    return found if start is None else [*found, (start, None)]
