"""A deployment with round numbers, whose requests can be followed by hand: calls of AWS take no time, and environments
start at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from scripts.cost.deployment import Function, Worker
from scripts.simulate.limits import Limits
from scripts.simulate.run_time import RunTime, Spread
from scripts.simulate.runs import Arrivals, Faults, Run, Start
from scripts.simulate.simulation import Simulation
from scripts.simulate.system import Settings, System
from worker.invocation import RetryDelay

EVER = 1e9
LIMITS = Limits(receive_seconds=0, placement_seconds=0, new_environments=1e6)
SETTINGS = Settings(
    rate=1e6,
    burst=1e6,
    visibility_seconds=60,
    max_receive_count=12,
    max_attempts=5,
    retry=RetryDelay(2, 300),
    deadline_seconds=86_400,
)


class Exponential(Spread):
    """Durations without memory, which Erlang's formulas are about."""

    def of_requests(self, rng: random.Random) -> Callable[[], float]:
        return lambda: rng.expovariate(1.0)


def system(each: float = 1.0, spread: Spread | None = None, provisioned: int = 0, **mapping: Any) -> System:
    """A model that takes so many seconds for a request; a batch takes that for each of its requests.

    Args:
        mapping: batch_size, batch_window_seconds and maximum_concurrency of the worker; one by one without.
    """
    function = Function("worker", 1769, 10_000, "x86_64", provisioned=provisioned)
    mapping = {"batch_size": 1} | mapping
    return System(
        name="mine",
        worker=Worker(function, ("mine",), **mapping),
        api_provisioned=0,
        settings=SETTINGS,
        listed=False,
        run=RunTime((0.0,) * (mapping["batch_size"] + 1), each, spread or Spread(0.0)),
        submit_seconds=0.0,
        status_seconds=0.0,
        api_init_seconds=0.0,
        worker_init_seconds=0.0,
    )


def simulation(
    of: System, times: Iterable[float], limits: Limits = LIMITS, faults: Faults | None = None, **others: Any
) -> Simulation:
    """All submits are counted, and nobody asks for a status. others: pollers at the start, and of Arrivals."""
    start = Start(pollers=others.pop("pollers", None))
    arrivals = Arrivals(times, (0.0, EVER), polls=others.pop("polls", 0), **others)
    return Simulation(of, limits, arrivals, 1, faults, start)


def ran(of: System, times: Iterable[float], limits: Limits = LIMITS, **others: Any) -> Run:
    """What happens to these submits."""
    return simulation(of, times, limits, **others).run()


def with_settings(of: System, **changes: Any) -> System:
    """The same in another environment."""
    return replace(of, settings=replace(of.settings, **changes))
