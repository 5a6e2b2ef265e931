"""Dollars a month of each place for a model's needs, by scripts/cost: without the free tier, in a deployment with the
stack's defaults, as environments/dev has them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property

from scripts.choose import platforms
from scripts.choose.needs import Needs
from scripts.cost import alternatives, gpu, measured, prices, synchronous, usage
from scripts.cost.capacity import MOST_MAXIMUM_CONCURRENCY, servers_for
from scripts.cost.demand import SECONDS_PER_DAY, Traffic
from scripts.cost.deployment import Deployment, Function, Worker, per_month
from scripts.cost.gpu import GpuRun
from scripts.cost.measured import Measured
from scripts.cost.prices import DAYS_PER_MONTH, GpuMachine, GpuPlatform, Line, Machine, Prices
from scripts.cost.report import Estimate
from scripts.stack_defaults import defaults

BACKENDS = ("runpod", "modal", "beam", "replicate")
"""Kinds of `backend` that are platforms; the price file and platforms.json have them by the same names."""

BATCHES_MEMORY_MB, BATCHES_TIMEOUT_SECONDS = 512, 120
LOG_DAYS = 14
"""What is in the stack's code, and in environments/dev, not in the defaults; a test of a plan compares them."""

LEAST_MEMORY_MB, MOST_MEMORY_MB = 128, 10_240
"""Of a function."""

ASSUMED_WAIT_SECONDS = 5.0
"""That 95% of the requests may wait at most, where the caller has no limit."""

SYSTEM_GB = 1.0
"""Of an instance's memory, beside the model's."""

CLOUD_RUN_VCPUS = ((4, 1), (8, 2), (16, 4), (24, 6), (32, 8))
"""The memory in GiB up to which so many vCPUs are enough: the least that Cloud Run takes."""


def deployment_of(needs: Needs, *, pooled: bool = False, sync: Function | None = None) -> Deployment:
    """The stack with such models: each with a worker of its own, or all in a pool."""
    api, letters, sweeper = defaults("api"), defaults("dead_letters"), defaults("sweeper")
    requests = defaults("requests")
    metrics = defaults("monitoring")["metrics"]

    def function(name: str, memory_mb: float, timeout: int) -> Function:
        return Function(
            f"inference-{name}", round(memory_mb), timeout, "x86_64", metrics=metrics, invocation_lines=False
        )

    names = [f"{needs.name}-{number}" for number in range(needs.models)] if needs.models > 1 else [needs.name]
    memory = min(max(LEAST_MEMORY_MB, needs.memory_mb), MOST_MEMORY_MB)
    groups = {"pool": tuple(names)} if pooled else {name: (name,) for name in names}
    workers = {
        group: Worker(
            replace(function(f"worker-{group}", memory, 900), image=True, invocation_lines=True),
            models,
            defaults("pools")["batch_size"],
            defaults("pools")["batch_window_seconds"],
            maximum_concurrency(needs),
        )
        for group, models in groups.items()
    }
    return Deployment(
        api=function("api", api["memory_mb"], api["timeout_seconds"]),
        workers=workers,
        others=(
            function("dead-letters", letters["memory_mb"], letters["timeout_seconds"]),
            function("batches", BATCHES_MEMORY_MB, BATCHES_TIMEOUT_SECONDS),
            function("sweeper", sweeper["memory_mb"], sweeper["timeout_seconds"]),
            *([sync] if sync else []),
        ),
        polled_queues=len(workers) + 2,
        record_days=requests["retention_seconds"] / SECONDS_PER_DAY,
        log_days=LOG_DAYS,
        payload_days=math.ceil((requests["retention_seconds"] + requests["deadline_seconds"]) / SECONDS_PER_DAY) + 1,
        listed=requests["list_by_caller"],
        sweeps_per_month=per_month(sweeper["schedule"]),
    )


def maximum_concurrency(needs: Needs) -> int:
    """The least with which 95% of the requests wait no longer than the caller does, at the peak."""
    wait = ASSUMED_WAIT_SECONDS if needs.latency is None else max(needs.latency - needs.run_seconds, 0.1)
    servers = servers_for(needs.rate * needs.peak / SECONDS_PER_DAY, needs.run_seconds, wait)
    return min(servers, MOST_MAXIMUM_CONCURRENCY)


@dataclass(frozen=True)
class Offer:
    """A GPU platform that can run the model: what it is called, its GPU, and dollars a month in all."""

    kind: str
    platform: GpuPlatform
    gpu: str
    dollars: float


@dataclass(frozen=True)
class Costs:
    """Of one model's needs, in dollars a month; where there are several models, of all of them."""

    needs: Needs
    prices: Prices
    measured: Measured

    @cached_property
    def stack(self) -> float:
        """This stack, a worker for each model."""
        return sum(self.bill.values())

    @cached_property
    def bill(self) -> dict[str, float]:
        """The same by component."""
        return self._estimate(pooled=False).bill(self._per_day)

    @cached_property
    def pool(self) -> float:
        """This stack, all models in a pool."""
        return self._estimate(pooled=True).total(self._per_day)

    @cached_property
    def own_queue(self) -> float:
        """What a worker costs idle: its queue is polled, its image stored."""
        two = replace(self.needs, models=2)
        one = replace(self.needs, models=1)
        return Costs(two, self.prices, self.measured).idle - Costs(one, self.prices, self.measured).idle

    @cached_property
    def idle(self) -> float:
        """This stack while nobody calls."""
        return self._estimate(pooled=False).total(0)

    @cached_property
    def pooled_below(self) -> float:
        """Requests a day of one model that cost as much as its own queue does."""
        estimate = self._estimate(pooled=False)
        name, load = next(iter(estimate.loads(self._per_day).items()))
        return self.own_queue / estimate.per_million(name, load) * 1e6 / DAYS_PER_MONTH

    @property
    def warm_environments(self) -> int:
        """Of a synchronous function: as many as run at a time at the peak, at least one."""
        return max(1, math.ceil(round(self.needs.at_the_peak, 9)))

    @cached_property
    def sync(self) -> float:
        """A synchronous function beside the stack, which takes all calls."""
        return self._sync(0)

    @cached_property
    def sync_warm(self) -> float:
        """The same with an environment ready for each call at the peak."""
        return self._sync(self.warm_environments)

    @cached_property
    def instance(self) -> tuple[Machine, int, float] | None:
        """Instances that are always on, alone: which, how many, dollars. None: none has the memory."""
        machine = self.prices.instance_of(self.needs.memory_mb / 1024 + SYSTEM_GB)
        if machine is None:
            return None
        loads = self._estimate(pooled=False).loads(self._per_day).values()
        count = alternatives.machines(machine, loads, self.needs.peak)
        return machine, count, count * machine.per_month

    @cached_property
    def machine(self) -> float:
        """The instances with this stack in front of them."""
        return self._dispatched + (self.instance[2] if self.instance else math.inf)

    @cached_property
    def cloud_run(self) -> float:
        """Cloud Run by request, alone: vCPU and memory while requests run."""
        seconds = self._per_day * DAYS_PER_MONTH * self.needs.run_seconds
        gib = max(0.5, self.needs.memory_mb / 1024)
        vcpus = next((count for most, count in CLOUD_RUN_VCPUS if gib <= most), CLOUD_RUN_VCPUS[-1][1])
        lines = [
            Line("cloud run", "cloud_run_vcpu_seconds", seconds * vcpus),
            Line("cloud run", "cloud_run_gb_seconds", seconds * gib),
            Line("cloud run", "cloud_run_requests", self._per_day * DAYS_PER_MONTH),
        ]
        return sum(self.prices.bill(lines).values())

    @cached_property
    def gpu_run(self) -> GpuRun:
        """A request on the GPU.

        Raises:
            ValueError: the model needs none.
        """
        if self.needs.gpu is None:
            raise ValueError("the model needs no GPU")
        return GpuRun(self.needs.gpu, self.needs.run_seconds)

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The platforms that can be a backend, have the GPU and let a run take so long; the least cost first."""
        found = []
        for kind in BACKENDS:
            longest = platforms.load().value(platforms.LONGEST_RUN, kind)
            if (offer := self.offer(kind)) and (longest is None or self.needs.longest <= longest):
                found.append(offer)
        return tuple(sorted(found, key=lambda offer: offer.dollars))

    def offer(self, kind: str) -> Offer | None:
        """What a platform of the price file costs, this stack in front of it where it has no queue of its own; None: it
        has no such GPU."""
        platform = self.prices.gpu.platforms[kind]
        name = gpu.fitting(self.prices.gpu, platform, self.gpu_run.gpu)
        if name is None:
            return None
        seconds = gpu.billed(platform, self.gpu_run, self.needs.rate).total * self.needs.models
        ours = 0.0 if platform.alone else self._dispatched
        return Offer(kind, platform, name, ours + gpu.second(platform, name) * seconds)

    @cached_property
    def gpu_instance(self) -> tuple[GpuMachine, int, float] | None:
        """GPU instances that are always on, with this stack in front; None: the price file has none with that GPU."""
        machine = gpu.instance_for(self.prices.gpu, self.gpu_run.gpu)
        if machine is None:
            return None
        alone = gpu.instances(machine, self.gpu_run, self._per_day, self.needs.peak)
        return machine, round(alone / machine.per_month), alone + self._dispatched

    @property
    def _per_day(self) -> float:
        return self.needs.rate * self.needs.models

    @cached_property
    def _dispatched(self) -> float:
        """This stack with a dispatcher in place of the worker."""
        estimate = self._estimate(pooled=False)
        run = GpuRun(self.needs.gpu or "", self.needs.run_seconds)
        return gpu.stack(self.prices, estimate.deployment, estimate.traffic, self.measured, run, self._per_day)

    def _sync(self, warm: int) -> float:
        memory = min(max(LEAST_MEMORY_MB, self.needs.memory_mb), MOST_MEMORY_MB)
        function = Function(
            "inference-sync", round(memory), 29, "x86_64", provisioned=warm, metrics=True, invocation_lines=False
        )
        deployment = deployment_of(self.needs, sync=function)
        lines = usage.month(deployment, Traffic(), self.measured, 0)
        lines += synchronous.sync_lines(function, self.needs.run_ms, self.measured, self._per_day)
        return sum(self.prices.bill(lines).values())

    def _estimate(self, *, pooled: bool) -> Estimate:
        needs = self.needs
        deployment = deployment_of(needs, pooled=pooled)
        traffic = Traffic(
            run_ms=dict.fromkeys(deployment.models, needs.run_ms),
            peak=needs.peak,
            large=1.0 if needs.input_mb * 1e6 > defaults("requests")["max_body_bytes"] else 0.0,
            large_bytes=needs.input_mb * 1e6,
        )
        return Estimate(self.prices, deployment, traffic, self.measured)


def of(needs: Needs) -> Costs:
    """By the price file, and what is kept of the bench's measurements."""
    return Costs(needs, *_files())


@cache
def _files() -> tuple[Prices, Measured]:
    return prices.load(), measured.load()
