"""The settings and quotas that some traffic needs, by arithmetic; the simulation then shows whether they are enough."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scripts.cost.capacity import MOST_MAXIMUM_CONCURRENCY, concurrency
from scripts.cost.demand import SECONDS_PER_DAY
from scripts.cost.requests import LIST_WRITES, RECORD_WRITES
from scripts.simulate.limits import Limits
from scripts.simulate.system import System
from scripts.simulate.windows import Demand

HEADROOM = 1.25
"""What is set, over what the busiest time needs."""


@dataclass(frozen=True)
class Fitted:
    """A system for some traffic, and what was changed for it, a short sentence each."""

    system: System
    limits: Limits
    changes: tuple[str, ...]


def fitted(system: System, limits: Limits, demand: Demand) -> Fitted:
    """Raise what is too low for the busiest time; nothing is lowered."""
    changes: list[str] = []
    rate = demand.busiest
    if demand.pattern == "burst":  # half of the time that a client repeats a submit: pauses grow up to 10 s
        rate += demand.burst / (demand.client_seconds / 2)

    if (calls := rate * max(1, demand.polls) * HEADROOM) > system.settings.rate:
        calls = _round(calls)
        settings = replace(system.settings, rate=calls, burst=max(system.settings.burst, calls))
        system = replace(system, settings=settings)
        changes.append(f"throttling = {{ burst = {settings.burst:.0f}, rate = {settings.rate:.0f} }}")
    if (calls := rate * (1 + demand.polls) * HEADROOM) > limits.gateway_rate:
        calls = _round(calls)
        limits = replace(limits, gateway_rate=calls, gateway_burst=max(limits.gateway_burst, calls / 2))
        changes.append(f"quota of API Gateway, Throttle rate: {calls:,.0f}")

    most = system.worker.maximum_concurrency
    workers = _workers(system, rate)
    if most is not None and workers > most:
        most = min(MOST_MAXIMUM_CONCURRENCY, _round(workers))
        system = system.with_worker(maximum_concurrency=most)
        changes.append(f"maximum_concurrency = {most}")
    cap = most or limits.most_pollers
    if _workers(system, rate, system.worker.batch_size) > cap:
        changes.append(f"one queue allows {cap:,} workers: larger batches, a faster model, or several models")

    api = rate * (system.submit_seconds + demand.polls * system.status_seconds) * HEADROOM
    if (needed := api + min(workers, cap)) > limits.concurrency:
        limits = replace(limits, concurrency=_round(needed))
        changes.append(f"quota of AWS Lambda, Concurrent executions: {limits.concurrency:,}")

    if system.listed and rate / demand.callers * LIST_WRITES * HEADROOM > limits.partition_writes:
        system = replace(system, listed=False)
        changes.append("requests = { list_by_caller = false }, or more callers")
    if demand.per_day / SECONDS_PER_DAY * HEADROOM > system.swept_per_second:  # what a day leaves, its night catches up
        changes.append('sweeper = { schedule = "rate(1 minute)" }')
    units = rate * RECORD_WRITES * HEADROOM
    if units > limits.most_table_writes:
        limits = replace(limits, most_table_writes=_round(units))
        changes.append(f"quota of DynamoDB, Table-level write throughput limit: {limits.most_table_writes:,.0f}")
    if units > limits.table_writes:
        limits = replace(limits, table_writes=_round(units))
        changes.append(
            f"warm throughput of the table before the first such day: {limits.table_writes:,.0f} writes a second"
        )
    return Fitted(system, limits, tuple(changes))


def _workers(system: System, rate: float, fill: int = 1) -> float:
    """Workers for this rate, by Little's law, with headroom."""
    return concurrency(rate / fill, system.run.mean(fill)) * HEADROOM


def _round(value: float) -> int:
    """Up, to two digits."""
    unit: int = 10 ** max(0, math.floor(math.log10(max(value, 1))) - 1)
    return math.ceil(value / unit) * unit
