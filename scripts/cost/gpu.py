"""The same requests on a GPU: on platforms that bill it by the second, behind this stack, and on instances that are
always on.

    billed        a platform bills the runs, what a start takes until the model is loaded, and how long it waits for
                  the next request. As long as one worker is enough, it is up from a request until `idle_seconds`
                  after the last one; arrivals are taken for Poisson's, and those that come during a start wait for
                  it. Above that, as many workers as are needed run, without a pause: the least that it can cost.
    machine       where vCPUs and memory are billed beside the GPU, those of a g5.xlarge: ASSUMED_VCPUS, ASSUMED_GB.
    this stack    takes the requests as ever, with a dispatcher in place of the worker: see dispatch.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scripts.cost import demand, dispatch, usage
from scripts.cost.alternatives import ASSUMED_UTILISATION, PerMonth
from scripts.cost.demand import SECONDS_PER_DAY, Traffic
from scripts.cost.deployment import Deployment, Function, Worker
from scripts.cost.dispatch import Backend
from scripts.cost.measured import Measured
from scripts.cost.prices import DAYS_PER_MONTH, GpuMachine, GpuPlatform, GpuPrices, Prices
from scripts.cost.usage import MOST_EXPONENT

ASSUMED_LOAD_SECONDS = 20.0
"""How long a start loads the model: some GB of weights, and CUDA."""

ASSUMED_VCPUS = 4
ASSUMED_GB = 16


@dataclass(frozen=True)
class GpuRun:
    """A request on a GPU.

    Attributes:
        gpu: the one that it needs, as the price file names it.
        seconds: of one request on it.
        load_seconds: of the model, at a start.
    """

    gpu: str
    seconds: float
    load_seconds: float = ASSUMED_LOAD_SECONDS


@dataclass(frozen=True)
class Billed:
    """Seconds of a month that a platform bills, by what they are for."""

    run: float
    start: float
    idle: float

    @property
    def total(self) -> float:
        return self.run + self.start + self.idle


def fitting(prices: GpuPrices, platform: GpuPlatform, gpu: str) -> str | None:
    """The GPU that a platform has for this one: itself, else the cheapest with as much memory; None: there is none.

    Raises:
        KeyError: no GPU of the price file has that name.
    """
    least = prices.memory_gb[gpu]
    if gpu in platform.per_second:
        return gpu
    enough = [name for name in platform.per_second if prices.memory_gb[name] >= least]
    return min(enough, key=lambda name: platform.per_second[name], default=None)


def instance_for(prices: GpuPrices, gpu: str) -> GpuMachine | None:
    """The instance for a GPU: one that has it, else the cheapest whose GPU has as much memory."""
    least = prices.memory_gb[gpu]
    same = [machine for machine in prices.instances if machine.gpu == gpu]
    enough = [machine for machine in prices.instances if prices.memory_gb[machine.gpu] >= least]
    return min(same or enough, key=lambda machine: machine.per_hour, default=None)


def billed(platform: GpuPlatform, run: GpuRun, per_day: float) -> Billed:
    """What a platform bills in a month of so many requests a day."""
    rate = per_day / SECONDS_PER_DAY
    busy = rate * run.seconds
    start_seconds = platform.start_seconds + run.load_seconds
    # A cycle: no worker for 1/rate on average, a start, then up until no request comes for idle_seconds.
    kept = math.exp(min(rate * (run.seconds + platform.idle_seconds), MOST_EXPONENT))
    down = 1 / (kept + rate * start_seconds)
    starting = rate * down * start_seconds
    month = SECONDS_PER_DAY * DAYS_PER_MONTH
    return Billed(busy * month, starting * month, max(0.0, 1 - down - starting - busy) * month if rate else 0.0)


def second(platform: GpuPlatform, gpu: str) -> float:
    """Dollars for a second of a worker with this GPU."""
    return platform.per_second[gpu] + platform.vcpu_second * ASSUMED_VCPUS + platform.gb_second * ASSUMED_GB


def instances(machine: GpuMachine, run: GpuRun, per_day: float, peak: float) -> float:
    """Dollars a month of instances that are always on, alone, as many as the peak needs."""
    busy = per_day / SECONDS_PER_DAY * run.seconds * peak
    return max(1, math.ceil(round(busy / ASSUMED_UTILISATION, 9))) * machine.per_month


def stack(
    prices: Prices, deployment: Deployment, traffic: Traffic, measured: Measured, run: GpuRun, per_day: float
) -> float:
    """Dollars a month of this stack when its workers are dispatchers."""
    function = Function("dispatcher", dispatch.MEMORY_MB, dispatch.TIMEOUT_SECONDS, deployment.api.architecture)
    workers = {
        name: replace(
            worker,
            function=replace(function, metrics=worker.function.metrics),
            batch_size=1,
            backend=worker.backend or Backend("none", run.gpu, run.seconds),
        )
        for name, worker in deployment.workers.items()
    }
    without = replace(traffic, run_ms={})
    lines = usage.month(replace(deployment, workers=workers), without, measured, per_day)
    return sum(prices.bill(lines).values())


def provider(prices: Prices, worker: Worker, traffic: Traffic, per_day: float) -> tuple[str, float] | None:
    """The platform that a worker's backend is, with its GPU, and dollars a month of so many requests a day to it. None:
    there is no backend, or its price is not known: it is a machine of one's own, or `gpu` or `run_seconds` is not set.
    """
    backend, seconds = worker.backend, demand.run_seconds(worker, traffic)
    if backend is None or backend.gpu is None or backend.gpu not in prices.gpu.memory_gb or not seconds:
        return None
    platform = prices.gpu.platforms.get(backend.kind)
    name = fitting(prices.gpu, platform, backend.gpu) if platform else None
    if platform is None or name is None:
        return None
    return f"{platform.name}, {name}", second(platform, name) * billed(
        platform, run_of(backend, seconds), per_day
    ).total


def providers(prices: Prices, deployment: Deployment, traffic: Traffic, per_day: float) -> dict[str, float]:
    """Platform, with its GPU -> dollars a month, of all backends; all models get as many requests."""
    found: dict[str, float] = {}
    for worker in deployment.workers.values():
        share = per_day / len(deployment.models) * len(worker.models)
        if priced := provider(prices, worker, traffic, share):
            name, dollars = priced
            found[name] = found.get(name, 0.0) + dollars
    return found


def run_of(backend: Backend, seconds: float) -> GpuRun:
    """A request to a backend."""
    load = ASSUMED_LOAD_SECONDS if backend.start_seconds is None else backend.start_seconds
    return GpuRun(backend.gpu or "", seconds, load)


def platforms(
    prices: Prices, deployment: Deployment, traffic: Traffic, measured: Measured, run: GpuRun
) -> dict[str, PerMonth]:
    """Platform, with the GPU -> requests a day -> dollars a month, with this stack in front unless it stands alone."""

    def of(platform: GpuPlatform, gpu: str) -> PerMonth:
        def month(per_day: float) -> float:
            ours = 0.0 if platform.alone else stack(prices, deployment, traffic, measured, run, per_day)
            return ours + second(platform, gpu) * billed(platform, run, per_day).total

        return month

    found = {}
    for platform in prices.gpu.platforms.values():
        if gpu := fitting(prices.gpu, platform, run.gpu):
            found[f"{platform.name}, {gpu}"] = of(platform, gpu)
    return found


def always_on(prices: Prices, run: GpuRun, peak: float) -> dict[str, PerMonth]:
    """The instance, with its GPU -> requests a day -> dollars a month. Empty where the price file has none."""
    machine = instance_for(prices.gpu, run.gpu)
    if machine is None:
        return {}
    return {f"{machine.name} alone, always on": lambda per_day: instances(machine, run, per_day, peak)}
