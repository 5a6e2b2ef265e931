"""The tables of `make simulate`, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from scripts.choose.entries import hcl
from scripts.cost.report import dollars as shown_dollars
from scripts.cost.report import table_of
from scripts.simulate.arrivals import PATTERNS
from scripts.simulate.best import Candidate
from scripts.simulate.fitting import Fitted
from scripts.simulate.use import Use, uses
from scripts.simulate.windows import Day, Demand

PER_DAY = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
SHOWN_CANDIDATES = 8


@dataclass(frozen=True)
class Decade:
    """Some traffic: what was seen with the settings as they are, and with those that it needs."""

    per_day: float
    as_it_is: Day
    fitted: Fitted
    day: Day
    dollars: float


def show_day(name: str, day: Day, dollars: float, console: Console) -> None:
    """Print what was seen of one deployment."""
    demand = day.demand
    console.print(f"{name}: {described(demand)}; {covered(day)}", highlight=False)
    console.print()
    table = table_of("submit to outcome", "p50", "p95", "p99", "longest")
    table.add_row("seconds", *map(seconds, (day.p50, day.p95, day.p99, day.longest)))
    console.print(table)
    console.print()
    table = table_of("", "", "")
    ends = ", ".join(f"{share:.2%} {end}" for end, share in sorted(day.ends.items(), key=lambda item: -item[1]))
    table.add_row("requests", ends, "")
    table.add_row("workers at a time", f"{day.concurrency:,.2f}", f"{day.most:,.1f} in the busiest ten seconds")
    table.add_row("requests in a batch", f"{day.fill:.2f}", "")
    table.add_row("cold starts", f"{day.cold:.2%}", f"{day.api_cold:.2%} of the api function's invocations")
    table.add_row("dollars a month", shown_dollars(dollars), "as make cost has it, with batches as full as these")
    console.print(table)
    console.print()
    console.print(_resources(day))
    console.print()
    for line in _remarks(day):
        console.print(line, highlight=False, markup=False)


def show_candidates(found: Sequence[Candidate], target: float, model: str, console: Console) -> None:
    """Print the cheapest entries of the grid, and the cheapest that meets the target."""
    table = table_of(
        f"p95 within {target:g} s", "memory", "batch", "window", "limit", "provisioned", "p50", "p95", "$ a month"
    )
    best = next((candidate for candidate in found if candidate.meets(target)), None)
    for candidate in dict.fromkeys((*found[:SHOWN_CANDIDATES], *((best,) if best else ()))):
        worker, day = candidate.worker, candidate.day
        table.add_row(
            ("best" if candidate is best else "yes") if candidate.meets(target) else "no",
            f"{worker.function.memory_mb:,}",
            str(worker.batch_size),
            str(worker.batch_window_seconds),
            str(worker.maximum_concurrency),
            f"{worker.function.provisioned:g}",
            seconds(day.p50),
            seconds(day.p95),
            shown_dollars(candidate.dollars),
        )
    console.print(table)
    console.print()
    if best is None:
        nearest = min(found, key=lambda candidate: candidate.day.p95)
        console.print(
            f"no entry of the {len(found)} meets {target:g} s: the nearest has a p95 of {seconds(nearest.day.p95)} s."
            " A faster model, or a longer target",
            highlight=False,
        )
        return
    console.print(f"the cheapest of {len(found)} that meets it:", highlight=False)
    console.print(hcl({"models": {model: best.entry}}), highlight=False, markup=False)


def show_decades(found: Sequence[Decade], console: Console) -> None:
    """Print a table by traffic, and under it what each needs."""
    before = ("p95 as it is", "first full")
    table = table_of("requests a day", *before, "p50", "p95", "p99", "at a time", "busiest", "$ a month", "full then")
    for decade in found:
        day = decade.day
        table.add_row(
            f"{decade.per_day:,.0f}",
            seconds(decade.as_it_is.p95) if decade.as_it_is.keeps_up else "too much",
            _first(decade.as_it_is),
            *(map(seconds, (day.p50, day.p95, day.p99)) if day.keeps_up else ("too much", "", "")),
            f"{day.concurrency:,.2f}",
            f"{day.most:,.1f}",
            shown_dollars(decade.dollars),
            _first(day),
        )
    console.print(table)
    for decade in found:
        console.print()
        console.print(f"at {decade.per_day:,.0f} a day, {covered(decade.day)}; to change:", highlight=False)
        for change in decade.fitted.changes or ("nothing",):
            console.print(f"  {change}", highlight=False, markup=False)


def described(demand: Demand) -> str:
    """The traffic, in words."""
    text = f"{demand.per_day:,.0f} requests a day"
    if demand.pattern not in PATTERNS:
        raise ValueError(f"{demand.pattern} is no pattern")
    if demand.pattern == "daily":
        return f"{text}, daily, {demand.busiest:,.3g} a second at the peak"
    if demand.pattern == "burst":
        return f"{text}, and {demand.burst:,} at once, of which all below is"
    return f"{text}, steadily"


def covered(day: Day) -> str:
    """What was simulated, in words."""
    if day.demand.pattern == "burst":
        return "the burst was simulated"
    if not day.parts[0].warm:
        days = round((day.parts[0].end - day.parts[0].start) / 86_400)
        return f"{day.simulated:,} simulated: " + ("the whole day" if days == 1 else f"{days} days")
    lasts = ", ".join(f"{part.end - part.start:,.0f}" for part in day.parts)
    return f"{day.simulated:,} simulated: {lasts} s" + (", from noon to midnight" if len(day.parts) > 1 else " of it")


def seconds(value: float) -> str:
    """A time."""
    if math.isnan(value):
        return "none"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _first(day: Day) -> str:
    use = uses(day)[0]
    return f"{use.name} {use.share:.0%}" if use.share <= 1 else f"{use.name}, over"


def _resources(day: Day) -> Table:
    table = table_of("resource, in its busiest ten seconds", "asked", "has", "used")
    table.add_column("when it is full")
    for use in uses(day):
        table.add_row(use.name, number(use.asked), number(use.has), f"{use.share:.1%}", use.remedy)
    return table


def number(value: float) -> str:
    """A rate or a count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _remarks(day: Day) -> Iterator[str]:
    first: Use = uses(day)[0]
    if first.share < 1 and day.demand.pattern != "burst":
        yield f"full first: {first.name}, at about {day.demand.per_day / first.share:,.0f} requests a day"
    else:
        yield f"full: {', '.join(use.name for use in uses(day) if use.share >= 1) or first.name}. {first.remedy}"
    if day.refused:
        yield "refused: " + ", ".join(f"{count:,} by {name}" for name, count in day.refused.items())
    if not day.keeps_up:
        if day.growth > 1:
            yield f"it does not keep up: {day.growth:,.1f} messages more wait after each second of the busiest part"
        if rejected := day.ends.get("rejected"):
            yield f"{rejected:.1%} of the clients gave up after {day.demand.client_seconds:g} s of 429 and 503"
