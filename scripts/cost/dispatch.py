"""What a dispatcher uses for a request at a GPU provider: one invocation submits, others look until the run is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.cost.prices import Line
from scripts.cost.requests import ASSUMED_CALL_MS, ASSUMED_PLATFORM_LOG_BYTES, GB, function_lines
from scripts.stack_defaults import defaults
from worker.dispatch.delays import LookDelay

MEMORY_MB = 512
TIMEOUT_SECONDS = 60
"""Of a dispatcher that is not in a plan."""

POLL = LookDelay(*(defaults("backend")["poll_seconds"][bound] for bound in ("min", "max")))
"""The default delays of looks."""

ASSUMED_PROVIDER_MS = 300
"""A call of a provider's API, which the dispatcher waits for."""

ASSUMED_LOG_BYTES = 250
"""What a look logs."""

SUBMIT_WRITES = 2
LOOK_WRITES = 2
"""Of a record, beside those of a worker: the intent and the provider's id; each look's resume, and the hold after it,
which the last look has not."""

LOOK_CALLS = 3
"""Of AWS, in an invocation that looks: its two writes, and the message's visibility."""

LOOK_SQS_CALLS = 2
"""The message's visibility, and its next receive."""


@dataclass(frozen=True)
class Backend:
    """Where a model runs, as `backend` in `models` has it.

    Attributes:
        kind: runpod, replicate, modal, beam or cog.
        gpu: as the price file names it; None: not said.
        run_seconds: of a request; None: not said.
        start_seconds: that a start loads the model; None: not said.
        poll: when a run is looked at.
    """

    kind: str
    gpu: str | None = None
    run_seconds: float | None = None
    start_seconds: float | None = None
    poll: LookDelay = POLL


def read(settings: Mapping[str, Any]) -> Backend:
    """One of a plan."""
    poll = settings.get("poll_seconds") or {}
    return Backend(
        kind=settings["kind"],
        gpu=settings.get("gpu"),
        run_seconds=settings.get("run_seconds"),
        start_seconds=settings.get("start_seconds"),
        poll=LookDelay(poll.get("min") or POLL.minimum, poll.get("max") or POLL.maximum),
    )


def looks(backend: Backend, seconds: float) -> int:
    """How often a run of so many seconds is looked at; at least once."""
    waited_ms, count = 0, 0
    while count == 0 or waited_ms < seconds * 1000:
        waited_ms += backend.poll.after(waited_ms) * 1000
        count += 1
    return count


def look_lines(
    backend: Backend, seconds: float, requests: float, memory_mb: float, architecture: str, warm: bool = False
) -> list[Line]:
    """What so many requests use beside one invocation each, which submits. Runs take so many seconds."""
    times = requests * looks(backend, seconds)
    ms = ASSUMED_PROVIDER_MS + LOOK_CALLS * ASSUMED_CALL_MS
    log_bytes = times * (ASSUMED_LOG_BYTES + ASSUMED_PLATFORM_LOG_BYTES)
    return [
        *function_lines("worker", times, ms, memory_mb, architecture, warm),
        Line("DynamoDB writes", "dynamodb_writes", requests * (SUBMIT_WRITES - 1) + times * LOOK_WRITES),
        Line("SQS", "sqs_requests", times * LOOK_SQS_CALLS),
        Line("logs", "logs_gb", log_bytes / GB),
    ]
