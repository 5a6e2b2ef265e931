"""The `models` entry that costs least of those that meet a target, by simulating a small grid of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from scripts.cost.capacity import LEAST_MAXIMUM_CONCURRENCY, MOST_MAXIMUM_CONCURRENCY, concurrency, servers_for
from scripts.cost.demand import Traffic
from scripts.cost.deployment import Deployment, Worker
from scripts.cost.report import Estimate
from scripts.cost.requests import MEMORY_MB_PER_VCPU
from scripts.simulate.limits import Limits
from scripts.simulate.run_time import at_memory
from scripts.simulate.system import System
from scripts.simulate.windows import Day, Demand, simulate

BATCHES = ((1, 0), (10, 0), (10, 1), (10, 5), (100, 5))
"""batch_size and batch_window_seconds: above 10 Lambda wants a window."""

CANDIDATE_BUDGET = 6_000
"""Requests that are simulated for each entry."""

Make = Callable[[Deployment, float | None], System]
"""The system of a deployment, whose worker takes so many ms for a request."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An entry, what was simulated of it, and dollars a month of the deployment with it."""

    worker: Worker
    day: Day
    dollars: float

    def meets(self, target: float) -> bool:
        """Whether 95% of the requests have their outcome in so many seconds, and all are accepted."""
        return self.day.keeps_up and self.day.p95 <= target

    @property
    def entry(self) -> dict[str, Any]:
        """Its settings, as `models` takes them."""
        function = self.worker.function
        settings: dict[str, Any] = {
            "memory_mb": function.memory_mb,
            "batch_size": self.worker.batch_size,
            "batch_window_seconds": self.worker.batch_window_seconds,
            "maximum_concurrency": self.worker.maximum_concurrency,
        }
        return settings | ({"warmth": {"provisioned": round(function.provisioned)}} if function.provisioned else {})


def candidates(
    estimate: Estimate, make: Make, limits: Limits, demand: Demand, target: float, seed: int = 1
) -> list[Candidate]:
    """All entries of the grid, the cheapest first.

    Args:
        estimate: of the deployment with the one worker. make: what is simulated of one like it.
        limits: of the account. demand: what comes.
        target: seconds in which 95% of the requests are to have their outcome.
        seed: everything random follows from it.
    """
    ((name, worker),) = estimate.deployment.workers.items()
    run_ms = next((estimate.traffic.run_ms[model] for model in worker.models if model in estimate.traffic.run_ms), None)
    found = []
    for other in _workers(worker, demand, target, make, estimate.deployment, name, run_ms):
        ms = None if run_ms is None else at_memory(run_ms, worker.function.memory_mb, other.function.memory_mb)
        deployment = replace(estimate.deployment, workers={name: other})
        day = simulate(make(deployment, ms), limits, demand, seed=seed, budget=CANDIDATE_BUDGET)
        found.append(Candidate(other, day, dollars(replace(estimate, deployment=deployment), day, ms)))
    return sorted(found, key=lambda candidate: candidate.dollars)


def dollars(estimate: Estimate, day: Day, run_ms: float | None) -> float:
    """A month with such days, by scripts/cost: the batches are as full as in the simulation."""
    ((_, worker),) = estimate.deployment.workers.items()
    times = {} if run_ms is None else dict.fromkeys(worker.models, run_ms)
    traffic: Traffic = replace(estimate.traffic, run_ms=times, fill=day.fill)
    return replace(estimate, traffic=traffic).total(day.demand.per_day)


def _workers(
    worker: Worker,
    demand: Demand,
    target: float,
    make: Make,
    deployment: Deployment,
    name: str,
    run_ms: float | None,
) -> Iterator[Worker]:
    known = worker.function.memory_mb
    for memory in sorted({known, max(known, MEMORY_MB_PER_VCPU)}):
        ms = None if run_ms is None else at_memory(run_ms, known, memory)
        for size, window in BATCHES:
            if window >= target:
                continue
            function = replace(worker.function, memory_mb=memory)
            other = replace(worker, function=function, batch_size=size, batch_window_seconds=window)
            run = make(replace(deployment, workers={name: other}), ms).run
            seconds = run.mean(1)
            most = servers_for(demand.busiest, seconds, max(target - seconds - window, 0.1 * seconds))
            most = min(max(LEAST_MAXIMUM_CONCURRENCY, most), MOST_MAXIMUM_CONCURRENCY)
            ready = max(1, math.ceil(concurrency(demand.busiest, seconds)))
            for provisioned in (0, ready):
                yield replace(
                    other,
                    function=replace(function, provisioned=provisioned),
                    maximum_concurrency=min(MOST_MAXIMUM_CONCURRENCY, max(most, provisioned)),
                )
