"""The reference document's cost table and its `calculate_concurrency` (43.2.1), beside what is computed here."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.choose import costs
from scripts.choose.needs import Needs
from scripts.cost import alternatives, prices
from scripts.cost.capacity import DEFAULT_QUOTA, concurrency
from scripts.cost.requests import function_lines

MEMORY_MB = 1769
"""Of the models that are compared: one vCPU."""

COMPARED_MS = (20.0, 500.0)
EDGES_MS = (1.0, 20.0, 100.0, 500.0, 2000.0)
PEAKS = (3.0, 1.0)

DOCUMENT_RATE, DOCUMENT_SECONDS, DOCUMENT_MEMORY_MB = 100.0, 2.0, 128
DOCUMENT_PER_MILLION = 4.17
"""What `calculate_concurrency(100, 2)` returns."""

SIZES_MB = (128, 1769, 3008, 10_240)


@dataclass(frozen=True)
class Line:
    """A line of the document's table: requests a day, dollars a month of its two ways, and which it says costs less."""

    per_day: float
    serverful: float
    serverless: float
    winner: str


TABLE = (
    Line(0, 180, 0, "Lambda"),
    Line(1_000, 180, 3, "Lambda"),
    Line(100_000, 180, 15, "Lambda"),
    Line(1_000_000, 180, 150, "Lambda"),
    Line(10_000_000, 180, 1500, "EC2"),
    Line(100_000_000, 360, 15_000, "EC2"),
)


def needs_of(per_day: float, run_ms: float, peak: float = PEAKS[0]) -> Needs:
    """A model of MEMORY_MB, on a CPU, whose callers can wait."""
    return Needs(per_day, run_ms, MEMORY_MB, None, None, peak, 0, run_ms / 1000)


def stack(per_day: float, run_ms: float, peak: float = PEAKS[0]) -> float:
    """Dollars a month of this stack."""
    found = costs.of(needs_of(max(per_day, 1e-9), run_ms, peak))
    return found.stack if per_day else found.idle


def instance(per_day: float, run_ms: float, peak: float = PEAKS[0]) -> float:
    """Dollars a month of instances that are always on, alone."""
    found = costs.of(needs_of(max(per_day, 1e-9), run_ms, peak)).instance
    if found is None:
        raise ValueError(f"the price file has no instance for {MEMORY_MB} MB")
    return found[2]


def instance_costs_less(run_ms: float, peak: float) -> list[tuple[float, float | None]]:
    """The ranges of requests a day in which instances cost less than this stack."""
    return alternatives.cheaper(
        lambda per_day: stack(per_day, run_ms, peak), lambda per_day: instance(per_day, run_ms, peak)
    )


def at_a_time() -> float:
    """Executions at a time in the document's example, by Little's law."""
    return concurrency(DOCUMENT_RATE, DOCUMENT_SECONDS)


def needs_quota(peak: float) -> bool:
    """Whether the example needs more than the usual quota at a peak."""
    return at_a_time() * peak > DEFAULT_QUOTA


def per_million(memory_mb: int) -> float:
    """Dollars for a million of the example's executions of this size, invocations included."""
    return sum(prices.load().bill(function_lines("example", 1_000_000, DOCUMENT_SECONDS * 1000, memory_mb)).values())
