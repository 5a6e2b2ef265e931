"""How long to measure (minutes for numbers to quote, one and the deployment to see that it runs), in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Plan:
    """Sizes of one run.

    Attributes:
        rounds: samples of each worker contestant; every round visits all contestants.
        sample_seconds: aimed length of one sample.
        growth_requests: how many requests one worker process gets, in windows of `growth_window`.
        cold_rounds: process starts of each contestant (worker and api).
        api_requests: warm invocations in one sample of the api function.
        encoder_rounds, encoder_texts: samples of each of the encoder's contestants, and their length (divisible by 50).
        encoder_cold_rounds: process starts of each.
        e2e_single: requests sent one at a time; `e2e_burst`: all at once, by `e2e_clients` clients.
        growth_models: of the stacks with a queue for each model, which are planned; the api function starts with them.
        growth_applied: of the stacks with a few pools, which are applied side by side. `growth_items`: of batches.
    """

    rounds: int
    sample_seconds: float
    growth_requests: int
    growth_window: int
    cold_rounds: int
    api_requests: int
    encoder_rounds: int
    encoder_texts: int
    encoder_cold_rounds: int
    e2e_single: int
    e2e_burst: int
    e2e_clients: int
    growth_models: tuple[int, ...]
    growth_applied: tuple[int, ...]
    growth_items: tuple[int, ...]


FULL = Plan(
    rounds=7,
    sample_seconds=0.8,
    growth_requests=100_000,
    growth_window=1_000,
    cold_rounds=15,
    api_requests=300,
    encoder_rounds=5,
    encoder_texts=100,
    encoder_cold_rounds=5,
    e2e_single=30,
    e2e_burst=300,
    e2e_clients=8,
    growth_models=(1, 50, 200),
    growth_applied=(50, 200),
    growth_items=(1, 10, 100, 1_000, 10_000),
)

QUICK = Plan(
    rounds=3,
    sample_seconds=0.2,
    growth_requests=5_000,
    growth_window=100,
    cold_rounds=2,
    api_requests=60,
    encoder_rounds=1,
    encoder_texts=50,
    encoder_cold_rounds=1,
    e2e_single=5,
    e2e_burst=40,
    e2e_clients=4,
    growth_models=(1, 10),
    growth_applied=(),
    growth_items=(1, 10, 100, 1_000),
)


def rotated(items: Sequence[Item], turn: int) -> list[Item]:
    """The items in the order of this round: each round begins with another, so that nobody is always first or last."""
    first = turn % len(items) if items else 0
    return [*items[first:], *items[:first]]
