"""Structured logs: one JSON line per event, with the ids to search for.

{"level": "INFO", "event": "request_accepted", "request_id": "...", "duration_ms": 12.3, "cold_start": true}
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from typing import Any

_LEVELS = logging.getLevelNamesMapping()
_to_json = json.JSONEncoder(default=str).encode


class Telemetry:
    """Writes events of one function.

    Args:
        function: name of the function; part of every line.
        level: lines below it are not written.
    """

    def __init__(self, function: str, level: str = "INFO") -> None:
        self._level = _LEVELS[level]
        self._common: dict[str, Any] = {"function": function}
        self._cold = True
        self._once: set[str] = set()

    def begin(self, **common: Any) -> None:
        """Start an invocation: `common` is added to each of its lines; `cold_start` is true for the first invocation
        only."""
        self._common = {"function": self._common["function"], **common, "cold_start": self._cold}
        self._cold = False
        self._once.clear()

    def info(self, event: str, **fields: Any) -> None:
        self._write("INFO", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("WARNING", event, fields)

    def warning_once(self, event: str, **fields: Any) -> None:
        """A warning that is written once in an invocation, since its cause would repeat it with every call."""
        if event not in self._once:
            self._once.add(event)
            self.warning(event, **fields)

    def error(self, event: str, error: BaseException | None = None, **fields: Any) -> None:
        """Something that needs attention; with an exception, its type, text and traceback."""
        if error is not None:
            fields["error"] = f"{type(error).__name__}: {error}"
            fields["traceback"] = "".join(traceback.format_exception(error))
        self._write("ERROR", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if _LEVELS[level] < self._level:
            return
        line = {"level": level, "event": event, **self._common, **fields}
        # One write per line: the worker's timeout handler writes from another thread.
        sys.stdout.write(_to_json(line) + "\n")
        sys.stdout.flush()


class Stopwatch:
    """Milliseconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def ms(self) -> float:
        return round((time.perf_counter() - self._start) * 1000, 2)


def now_ms() -> int:
    """The time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def function_name() -> str:
    """The name that Lambda gives the function it runs."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
