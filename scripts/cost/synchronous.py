"""What calls of a synchronous function use: it answers at once, without record, message and status query."""

from __future__ import annotations

from scripts.cost.demand import SECONDS_PER_DAY
from scripts.cost.deployment import Function
from scripts.cost.measured import Measured
from scripts.cost.prices import DAYS_PER_MONTH, Line
from scripts.cost.requests import GB, function_lines, platform_log_bytes
from scripts.cost.usage import start_lines, starts_per_second

ASSUMED_OVERHEAD_MS = 1.0
"""Of a call beside the model's run: parsing, checking and answering."""

ASSUMED_LOG_BYTES = 250


def sync_lines(function: Function, run_ms: float, measured: Measured, per_day: float) -> list[Line]:
    """What so many calls a day use in a month; its provisioned environments are not in it.

    Args:
        function: the synchronous one.
        run_ms: of the model for a call, at the function's memory.
        measured: how long a start takes is a worker's.
    """
    calls = per_day * DAYS_PER_MONTH
    warm = function.provisioned > 0
    starts = starts_per_second(function, per_day / SECONDS_PER_DAY)
    log_bytes = ASSUMED_LOG_BYTES + platform_log_bytes(function.invocation_lines)
    return [
        *function_lines(
            "sync function", calls, run_ms + ASSUMED_OVERHEAD_MS, function.memory_mb, function.architecture, warm
        ),
        Line("HTTP API", "http_api_calls", calls),
        Line("logs", "logs_gb", calls * log_bytes / GB),
        *start_lines(function, starts, starts, measured.worker_init_ms),
    ]
