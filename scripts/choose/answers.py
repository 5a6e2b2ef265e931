"""The answer of `make choose`, line by line."""

from __future__ import annotations

import math

from scripts.choose import rules
from scripts.choose.costs import Costs
from scripts.choose.entries import entry, hcl
from scripts.choose.needs import SECONDS_PER
from scripts.choose.thresholds import Threshold, thresholds
from scripts.cost.capacity import DEFAULT_QUOTA

SHOWN = {
    "RATE": " requests a day",
    "RUN_MS": " ms",
    "MEMORY_MB": " MB",
    "LATENCY": " s",
    "INPUT_MB": " MB",
    "LONGEST_S": " s",
}

NEW_ACCOUNT = 10
"""Concurrent executions that a new account may have."""


def lines(found: Costs) -> list[str]:
    """The lines of the answer."""
    place, steps = rules.way(found)
    made = entry(place, found)
    known = math.isfinite(made.dollars)
    cost = (
        f"${made.dollars:,.2f} a month, without the free tier"
        if known
        else "not known: the price file has no such machine"
    )
    text = [f"where: {rules.PLACES[place]}", f"cost: {cost}", ""]
    if made.settings:
        text += ['In terraform/environments/<environment>/main.tf, module "stack":', "", hcl(made.settings), ""]
    text += [*made.notes, "", "why:"]
    for step in steps:
        text += [f"  {step.text} {'yes' if step.answer else 'no'}", f"      {step.because}"]
    text += ["", "at a time:", *(f"  {line}" for line in _capacity(found, place))]
    text += ["", "what would change the answer, one at a time:"]
    text += [f"  {_change(change)}" for change in thresholds(found)] or ["  no value of a number alone"]
    text += ["", f"prices of {found.prices.date}, {found.prices.region}; how it is computed: docs/choosing.md"]
    return text


def _change(change: Threshold) -> str:
    side = "above" if change.above else "below"
    return f"{change.name} {side} {_number(change.value)}{SHOWN.get(change.name, '')}: {rules.PLACES[change.place]}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _capacity(found: Costs, place: str) -> list[str]:
    """Little's law for these needs, and the quota where functions run them."""
    at_the_peak = found.needs.at_the_peak * found.needs.models
    text = [
        f"Little's law: {_number(found.needs.rate * found.needs.models / SECONDS_PER['d'])} requests a second x"
        f" {found.needs.run_seconds:g} s x peak {found.needs.peak:g} = {_number(at_the_peak)} run at a time"
    ]
    if place in ("asynchronous", "pool", "sync", "sync_warm"):
        if at_the_peak > DEFAULT_QUOTA:
            text.append(f"above the usual quota of {DEFAULT_QUOTA:,} concurrent executions: ask AWS for more before")
        elif at_the_peak > NEW_ACCOUNT / 2:
            text.append(f"a new account may have {NEW_ACCOUNT} concurrent executions, of 3,008 MB each: docs/deploy.md")
    return text
