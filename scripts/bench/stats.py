"""Medians with their spread: a shared machine has outliers, and a mean would believe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of `count` samples."""

    median: float
    q1: float
    q3: float
    count: int


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie, interpolated linearly between neighbours.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles. Raises ValueError when there are no values."""
    return Spread(quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75), len(values))


def end_to_start(values: Sequence[float]) -> float:
    """How a series has grown: the median of its last tenth over that of its first (at least one value each)."""
    size = max(1, len(values) // 10)
    return quantile(values[-size:], 0.5) / quantile(values[:size], 0.5)
