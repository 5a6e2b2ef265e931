"""The tables of `make cost GPU=...`: what a GPU would cost in place of the workers."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from scripts.cost import alternatives, gpu
from scripts.cost.gpu import GpuRun
from scripts.cost.prices import Prices
from scripts.cost.report import PER_DAY, Estimate, dollars, ranges, table_of


def show(estimate: Estimate, run: GpuRun, per_day: float, console: Console) -> None:
    """Print everything."""
    tables = (
        _month(estimate, run, sorted({*PER_DAY, per_day})),
        _break_even(estimate, run),
        _seconds(estimate.prices, run, per_day),
    )
    for table in tables:
        if table is not None:
            console.print(table)
            console.print()
    unconfirmed = [key.removeprefix("gpu.") for key in estimate.prices.unconfirmed if key.startswith("gpu.")]
    for line in (
        "*: the least. Platforms have this stack in front of them, but for SageMaker; the instance is alone. All take"
        f" {run.seconds:g} s for a request, whichever GPU it is; a start loads the model for {run.load_seconds:g} s",
        f"not confirmed by the platforms' own pages, in part: {', '.join(unconfirmed)}",
    ):
        console.print(line, highlight=False, markup=False)


def _month(estimate: Estimate, run: GpuRun, columns: list[float]) -> Table:
    """Dollars a month by requests a day: the workers on CPUs, each platform, an instance that is always on."""
    table = table_of(
        f"on a GPU: {run.gpu}, {run.seconds:g} s a request",
        *("idle" if not per_day else f"{per_day:,.0f}" for per_day in columns),
    )
    found = {name: [of(per_day) for per_day in columns] for name, of in _all(estimate, run).items()}
    least = [min(costs) for costs in zip(*found.values(), strict=True)]
    for name, costs in found.items():
        table.add_row(
            name, *(dollars(cost) + (" *" if cost == low else "") for cost, low in zip(costs, least, strict=True))
        )
    return table


def _break_even(estimate: Estimate, run: GpuRun) -> Table | None:
    """Where an instance that is always on costs less; None where the price file has none."""
    found = gpu.always_on(estimate.prices, run, estimate.traffic.peak)
    if not found:
        return None
    ((name, instance),) = found.items()
    table = table_of(f"{name} costs less than", "requests a day")
    for other, of in {"this deployment": estimate.total, **_platforms(estimate, run)}.items():
        table.add_row(other, ranges(alternatives.cheaper(of, instance)))
    return table


def _seconds(prices: Prices, run: GpuRun, per_day: float) -> Table:
    """What the platforms bill at so many requests a day, in hours of a month."""
    table = table_of(
        f"billed hours at {per_day:,.0f} requests a day", "$ an hour", "runs", "starts", "idle", "$ a month"
    )
    for platform in prices.gpu.platforms.values():
        found = gpu.fitting(prices.gpu, platform, run.gpu)
        if found is None:
            table.add_row(f"{platform.name}: no GPU of that size", *[""] * 5)
            continue
        billed = gpu.billed(platform, run, per_day)
        price = gpu.second(platform, found)
        hours = [f"{value / 3600:,.1f}" for value in (billed.run, billed.start, billed.idle)]
        table.add_row(f"{platform.name}, {found}", f"{price * 3600:,.2f}", *hours, dollars(price * billed.total))
    return table


def _platforms(estimate: Estimate, run: GpuRun) -> dict[str, alternatives.PerMonth]:
    return gpu.platforms(estimate.prices, estimate.deployment, estimate.traffic, estimate.measured, run)


def _all(estimate: Estimate, run: GpuRun) -> dict[str, alternatives.PerMonth]:
    return {
        "this deployment": estimate.total,
        **_platforms(estimate, run),
        **gpu.always_on(estimate.prices, run, estimate.traffic.peak),
    }
