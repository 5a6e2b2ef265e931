"""What the simulation says of a burst, against the same burst on the emulator.

The emulator scales otherwise than AWS: from the first message on it has as many batches at a time as
`maximum_concurrency` allows. The simulation is told so. What a batch takes beside the model's own time is measured with
a burst of two rounds, and a burst of six is predicted. Time counts from the first start: before it the emulator sleeps
for up to a second.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from scripts.cost.deployment import Function, Worker
from scripts.simulate.limits import Limits
from scripts.simulate.run_time import RunTime, Spread
from scripts.simulate.runs import Arrivals, Start
from scripts.simulate.simulation import Simulation
from scripts.simulate.system import Settings, System
from scripts.simulate.windows import quantiles
from tests.e2e.control import Control
from tests.e2e.http_client import Api
from worker.invocation import RetryDelay

pytestmark = pytest.mark.compares_times

MODEL = "soak"
PARALLEL, BATCH = 4, 10
"""Its `maximum_concurrency`, and the batch size of its manifest."""

WORK_SECONDS = 0.1
"""Of each request: it sleeps, so that other work of this machine does not make it slower."""

ROUNDS, REQUESTS = 2, 240
TOLERANCE = 0.3
"""Of mean and p95: 2.5% to 12.5% were seen, on a machine with much else to do."""

TRIES = 3
"""What else the machine does may change between the two bursts."""


def test_a_burst_takes_as_long_as_simulated(api: Api, control: Control) -> None:
    _burst(api, control, PARALLEL * BATCH)  # so that none starts cold
    compared = []
    for _ in range(TRIES):
        compared.append(_compare(api, control))
        if max(map(abs, compared[-1])) < TOLERANCE:
            return
    raise AssertionError(f"mean and p95 were never as simulated: they were off by {compared}")


def _compare(api: Api, control: Control) -> tuple[float, float]:
    """By how much mean and p95 are above the simulated ones, as shares of these."""
    round_seconds = fmean(_burst(api, control, ROUNDS * PARALLEL * BATCH)) / fmean(range(1, ROUNDS + 1))
    overhead = max(0.0, round_seconds - BATCH * WORK_SECONDS)
    seen, expected = _burst(api, control, REQUESTS), _simulated(overhead)
    mean, p95 = fmean(seen) / fmean(expected) - 1, _p95(seen) / _p95(expected) - 1
    print(
        f"\n{REQUESTS} requests of {WORK_SECONDS:g} s, {PARALLEL} batches of {BATCH} at a time, {overhead:.3f} s more:"
        f" mean {fmean(seen):.2f} s, simulated {fmean(expected):.2f} s ({mean:+.1%});"
        f" p95 {_p95(seen):.2f} s, simulated {_p95(expected):.2f} s ({p95:+.1%})"
    )
    return mean, p95


def _burst(api: Api, control: Control, requests: int) -> list[float]:
    """Seconds to each outcome of so many messages that become available together, from the first start of one."""
    with control.paused(MODEL):
        ids = [
            api.accepted({"text": f"burst {n}", "work_ms": round(1000 * WORK_SECONDS)}, MODEL) for n in range(requests)
        ]
    outcomes = [api.outcome(request_id) for request_id in ids]
    assert {outcome["status"] for outcome in outcomes} == {"succeeded"}
    began = min(_time(outcome["started_at"]) for outcome in outcomes)
    return [_time(outcome["finished_at"]) - began for outcome in outcomes]


def _time(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _simulated(overhead: float) -> list[float]:
    function = Function(MODEL, 1769, 30, "x86_64", provisioned=PARALLEL)
    system = System(
        name=MODEL,
        worker=Worker(function, (MODEL,), BATCH, 0, PARALLEL),
        api_provisioned=0,
        settings=Settings(1e6, 1e6, 180, 12, 5, RetryDelay(1, 300), 86_400),
        listed=True,
        run=RunTime((overhead,) * (BATCH + 1), WORK_SECONDS, Spread(0.0)),
        submit_seconds=0.0,
        status_seconds=0.0,
        api_init_seconds=0.0,
        worker_init_seconds=0.0,
    )
    limits = replace(Limits(), pollers=PARALLEL, receive_seconds=0.0, placement_seconds=0.0)
    arrivals = Arrivals([0.0] * REQUESTS, (0.0, 1.0), polls=0)
    return Simulation(system, limits, arrivals, start=Start(pollers=PARALLEL)).run().latencies


def _p95(values: list[float]) -> float:
    return quantiles(np.array(values), np.ones(len(values)), (0.95,))[0]
