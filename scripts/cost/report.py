"""The tables of `make cost`, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from scripts.cost import alternatives, capacity, demand, gpu, usage
from scripts.cost.alternatives import PerMonth
from scripts.cost.demand import Load, Traffic
from scripts.cost.deployment import Deployment
from scripts.cost.files import MOST_LINES
from scripts.cost.measured import Measured
from scripts.cost.prices import DAYS_PER_MONTH, Prices
from scripts.cost.requests import ASSUMED_POLLS, MILLION, status_lines

WAITED_SECONDS = (0.1, 1.0, 10.0)
ITEMS = (10, 100)

PER_DAY = (0, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)


@dataclass(frozen=True)
class Estimate:
    """All that a bill is made of; its methods take requests a day and give dollars a month."""

    prices: Prices
    deployment: Deployment
    traffic: Traffic
    measured: Measured

    def bill(self, per_day: float, *, free_tier: bool = False) -> dict[str, float]:
        """Component -> dollars; a backend's platform is one."""
        lines = usage.month(self.deployment, self.traffic, self.measured, per_day)
        providers = gpu.providers(self.prices, self.deployment, self.traffic, per_day)
        return self.prices.bill(lines, free_tier=free_tier) | providers

    def total(self, per_day: float, *, free_tier: bool = False) -> float:
        """Of the deployment."""
        return sum(self.bill(per_day, free_tier=free_tier).values())

    def loads(self, per_day: float) -> dict[str, Load]:
        """What each worker has to do."""
        return demand.loads(self.deployment, self.traffic, self.measured, per_day)

    def instance(self, per_day: float) -> float:
        """Of always-on instances."""
        return alternatives.instances_per_month(self.prices, self.loads(per_day).values(), self.traffic.peak)

    def sagemaker(self, per_day: float) -> float:
        """Of an asynchronous endpoint."""
        loads = list(self.loads(per_day).values())
        return alternatives.sagemaker_per_month(self.prices, loads, self.traffic.peak, self.traffic.polls)

    def alternatives(self) -> dict[str, PerMonth]:
        """What is compared, by its name; nothing where all models run in a backend."""
        if all(worker.backend for worker in self.deployment.workers.values()):
            return {}
        return {
            f"{self.prices.instance.name} alone, always on": self.instance,
            f"SageMaker async, {self.prices.sagemaker.name}": self.sagemaker,
        }

    def cheaper(self) -> dict[str, list[tuple[float, float | None]]]:
        """Alternative -> the ranges of requests a day in which it costs less; None: without end."""
        return {name: alternatives.cheaper(self.total, of) for name, of in self.alternatives().items()}

    def status_query(self) -> float:
        """Dollars for one."""
        work = next(iter(self.loads(1).values())).work
        warm = self.deployment.api.provisioned > 0
        lines = status_lines(work, MILLION, self.deployment.api.architecture, warm)
        return sum(self.prices.bill(lines).values()) / MILLION

    def per_million(self, name: str, load: Load) -> float:
        """Dollars for a million requests to one worker, from the submit to the last status query, at this traffic."""
        worker = self.deployment.workers[name]
        lines = usage.requests_of(self.deployment, worker, load, self.traffic)
        _, provider = gpu.provider(self.prices, worker, self.traffic, load.per_day) or ("", 0.0)
        return (sum(self.prices.bill(lines).values()) + provider) / (load.per_day * DAYS_PER_MONTH) * MILLION

    def ways(self, name: str, load: Load) -> dict[str, float]:
        """How a client calls -> dollars for a million requests to one worker, the request included."""
        polls = self.traffic.polls or ASSUMED_POLLS
        plain = replace(self.traffic, polls=0.0, items=1, waits=0.0, webhooks=0.0)
        traffics = {f"{polls:g} status queries": replace(plain, polls=polls)}
        for seconds in WAITED_SECONDS:
            traffics[f"a submit that waits {seconds:g} s"] = replace(plain, waits=seconds)
        traffics["a webhook"] = replace(plain, webhooks=1.0)
        for items in ITEMS:
            traffics[f"batches of {items}, {polls:g} status queries of each"] = replace(plain, items=items, polls=polls)
            traffics[f"batches of {items}, a webhook of each"] = replace(plain, items=items, webhooks=1.0)
        by_file = f"files of {MOST_LINES:,} lines"
        traffics[f"{by_file}, {polls:g} status queries of each"] = replace(plain, items=MOST_LINES, polls=polls)
        traffics[f"{by_file}, a webhook of each"] = replace(plain, items=MOST_LINES, webhooks=1.0)
        return {way: replace(self, traffic=traffic).per_million(name, load) for way, traffic in traffics.items()}


def show(estimate: Estimate, environment: str, per_day: float, wait: float, quota: int, console: Console) -> None:
    """Print everything."""
    prices, traffic = estimate.prices, estimate.traffic
    console.print(
        f"{environment}, dollars a month of {DAYS_PER_MONTH} days by requests a day; prices of {prices.date},"
        f" {prices.region}, without the free tier\n"
        f"assumed: {traffic.polls:g} status queries and {traffic.webhooks:g} webhooks per request, a peak of"
        f" {traffic.peak:g} times the mean;"
        " the rest: docs/cost.md",
        highlight=False,
    )
    columns = sorted({*PER_DAY, per_day})
    tables = (_bill(estimate, columns), _models(estimate, per_day, wait), _ways(estimate, per_day), _others(estimate))
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    for line in (*_capacity(estimate, per_day, quota), *_remarks(estimate, per_day)):
        console.print(line, highlight=False, markup=False)


def _bill(estimate: Estimate, columns: Sequence[float]) -> Table:
    table = table_of("", *("idle" if not per_day else f"{per_day:,.0f}" for per_day in columns))
    bills = [estimate.bill(per_day) for per_day in columns]
    names = list(dict.fromkeys(name for bill in reversed(bills) for name in bill))
    for name in names:
        table.add_row(name, *(dollars(bill.get(name, 0.0)) for bill in bills))
    table.add_section()
    table.add_row("total", *(dollars(sum(bill.values())) for bill in bills), style="bold")
    free = [estimate.total(per_day, free_tier=True) for per_day in columns]
    table.add_row("with AWS's free tier", *map(dollars, free))
    table.add_section()
    for name, of in estimate.alternatives().items():
        cells = []
        for per_day, bill in zip(columns, bills, strict=True):
            cost = of(per_day)
            cells.append(dollars(cost) + (" <" if cost < sum(bill.values()) else ""))
        table.add_row(name, *cells)
    return table


def _models(estimate: Estimate, per_day: float, wait: float) -> Table:
    table = table_of(
        f"at {per_day:,.0f} requests a day",
        "requests", "in a batch", "ms a batch", "$ per million", "at a time", "at the peak", "limit", f"for {wait:g} s",
    )  # fmt: skip
    for name, load in estimate.loads(per_day).items():
        seconds = load.batch_ms / 1000
        rate = load.batches_per_second
        peak = rate * estimate.traffic.peak
        configured = estimate.deployment.workers[name].maximum_concurrency
        models = estimate.deployment.workers[name].models
        table.add_row(
            name if len(models) == 1 else f"pool {name}, {len(models)} models",
            f"{load.per_day:,.0f}",
            f"{load.fill:.1f}",
            f"{load.batch_ms:,.0f}",
            f"{estimate.per_million(name, load):,.2f}",
            f"{capacity.concurrency(rate, seconds):,.2f}",
            f"{capacity.concurrency(peak, seconds):,.2f}",
            "no limit" if configured is None else str(configured),
            f"{capacity.servers_for(peak, seconds, wait):,}",
        )
        if len(models) > 1:
            _add_pooled(table, estimate, name, load)
    return table


def _ways(estimate: Estimate, per_day: float) -> Table:
    """Of the first worker: the differences are the same for all."""
    name, load = next(iter(estimate.loads(per_day).items()))
    table = table_of(f"ways of calling {name}", "$ per million")
    for way, cost in estimate.ways(name, load).items():
        table.add_row(way, f"{cost:,.2f}")
    return table


def _add_pooled(table: Table, estimate: Estimate, name: str, load: Load) -> None:
    """A line for each model of a pool, or one for all whose run time is the same."""
    by_ms: dict[float, list[str]] = {}
    for model, ms in load.model_ms.items():
        by_ms.setdefault(ms, []).append(model)
    for ms, models in sorted(by_ms.items()):
        own = replace(load, per_day=load.per_day / len(load.model_ms), model_ms={models[0]: ms})
        table.add_row(
            f"  {models[0]}" if len(models) == 1 else f"  each of {len(models)}: {models[0]} ... {models[-1]}",
            f"{own.per_day:,.0f}",
            "",
            f"{ms:,.0f}",
            f"{estimate.per_million(name, own):,.2f}",
        )


def _others(estimate: Estimate) -> Table:
    table = table_of("costs less at", "requests a day")
    for name, found in estimate.cheaper().items():
        table.add_row(name, ranges(found))
    return table


def ranges(found: list[tuple[float, float | None]]) -> str:
    """The ranges of traffic that `alternatives.cheaper` found."""
    return ", ".join(_range(start, end) for start, end in found) or "never"


def _range(start: float, end: float | None) -> str:
    if start == 1:
        return "any" if end is None else f"up to {end:,.0f}"
    return f"from {start:,.0f}" if end is None else f"{start:,.0f} to {end:,.0f}"


def _capacity(estimate: Estimate, per_day: float, quota: int) -> Iterator[str]:
    peak = estimate.traffic.peak
    workers = sum(
        capacity.concurrency(load.batches_per_second * peak, load.batch_ms / 1000)
        for load in estimate.loads(per_day).values()
    )
    limits = [worker.maximum_concurrency for worker in estimate.deployment.workers.values()]
    yield (
        "at a time: workers that run, by Little's law. limit: maximum_concurrency in the plan; for ... s: the least"
        " that lets 95% of the batches wait no longer, at the peak"
    )
    yield (
        f"Little's law: {workers:,.1f} workers run at the peak; the account's quota is {quota:,} for all functions"
        + (": ask for more before this traffic comes" if workers > quota else "")
    )
    if None not in limits and (allowed := sum(limit or 0 for limit in limits)) > quota:
        yield f"the models' maximum_concurrency adds up to {allowed:,}, more than that: what is throttled is a receive"


def _remarks(estimate: Estimate, per_day: float) -> Iterator[str]:
    deployment, traffic = estimate.deployment, estimate.traffic
    if (metrics := estimate.bill(per_day).get("metrics", 0)) > estimate.total(per_day) / 10:
        yield (
            f"metrics: ${dollars(metrics)} at {per_day:,.0f} requests a day, for {len(deployment.models)} models;"
            " monitoring = { metrics = false } writes none"
        )
    query = estimate.status_query()
    yield f"one status query costs ${query:.8f}: a million cost ${query * MILLION:.2f}"
    measured = [name for worker in deployment.workers.values() if not worker.backend for name in worker.models]
    if missing := [name for name in measured if name not in traffic.run_ms]:
        named = ", ".join(missing) if len(missing) < 6 else f"{len(missing)} models"
        yield f"run time of {named}: {estimate.measured.source}. RUN_MS=<ms a request> gives yours"
    for name, worker in deployment.workers.items():
        if worker.backend and not gpu.provider(estimate.prices, worker, traffic, per_day):
            yield (
                f"not in the bill: what the backend of {name}, {worker.backend.kind}, costs:"
                " its gpu and run_seconds say it, or it is a machine of yours"
            )
    if deployment.unpriced:
        yield f"not in the bill: {', '.join(deployment.unpriced)}"
    if estimate.prices.unconfirmed:
        others = ("gpu.", "cloud_run_", "larger_instances")  # which are in no table here
        unconfirmed = (name for name in estimate.prices.unconfirmed if not name.startswith(others))
        yield f"not confirmed by AWS's own pages: {', '.join(unconfirmed)}"


def dollars(value: float) -> str:
    """An amount, with cents below a thousand."""
    if value and value < 0.005:
        return "<0.01"
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def table_of(title: str, *columns: str) -> Table:
    """An empty table: the first column has names, the others numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table
