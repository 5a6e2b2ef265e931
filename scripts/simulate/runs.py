"""What goes into a simulation, and what comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from scripts.simulate.arrivals import CLIENT_SECONDS

POLL_SECONDS = 1.0
"""`Retry-After` of a request that is not final, of a model that is quick."""

SAMPLE_SECONDS = 1.0
"""So often the mapping scales, and the state is noted."""


@dataclass(frozen=True)
class Start:
    """What is there when the simulation starts: for a part of a day, what the time before it has brought.

    Attributes:
        pollers: of the mapping; None: as few as a quiet queue has.
        api, worker: environments that are idle.
        writes: write units per second that the table had for long.
    """

    pollers: int | None = None
    api: int = 0
    worker: int = 0
    writes: float = 0.0


@dataclass(frozen=True)
class Faults:
    """What goes wrong beside the limits.

    Attributes:
        errors: the share of a model's runs that fail and are tried again.
        crashes: the share of invocations in which the worker's process is lost.
    """

    errors: float = 0.0
    crashes: float = 0.0


@dataclass(frozen=True)
class Arrivals:
    """Who comes when.

    Attributes:
        times: of the submits, in order.
        counted: from when to when submits are counted; what comes before and after is load, which ends with the last
            counted request.
        polls: status queries for each submit, each POLL_SECONDS after the one before.
        callers: how many callers there are, with as many submits each.
        client_seconds: how long a client repeats a submit that is rejected.
    """

    times: Iterable[float]
    counted: tuple[float, float]
    polls: int = 2
    callers: int = 1
    client_seconds: float = CLIENT_SECONDS


@dataclass
class Run:
    """What one simulation saw.

    Attributes:
        seconds: that were counted.
        latencies: seconds from the submit to the outcome, of each counted request that succeeded or failed.
        ends: how counted requests ended: succeeded, failed, expired, or rejected, whose client got no 202.
        refused: what was refused, by what, of all calls and batches.
        requests: that were counted.
        area: of all requests, the integral of those that are not over, over time. total: all requests. total_seconds:
            the sum of their times. span: from the first submit to the last end.
        samples: each SAMPLE_SECONDS of the counted time, and until its last request has ended: (time, workers that run,
            api functions that run, pollers, messages that wait).
        asked: resource -> what was asked of it at most, in its own unit, and what it has.
        fill: requests in a batch, on average.
        cold: share of the worker's invocations that started cold. api_cold: of the api function's.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    area: float = 0.0
    total: int = 0
    total_seconds: float = 0.0
    span: float = 0.0
    samples: list[tuple[float, int, int, int, int]] = field(default_factory=list)
    asked: dict[str, tuple[float, float]] = field(default_factory=dict)
    fill: float = 1.0
    cold: float = 0.0
    api_cold: float = 0.0
