"""Structured logs and metrics: JSON lines, which CloudWatch Logs keeps, and from which it makes the metrics.

{"level":"INFO","event":"response_sent","request_id":"...","status":202,"duration_ms":12.3,"cold_start":true}

An invocation's metrics are one line for each model, in CloudWatch's embedded metric format (EMF). Each costs the bytes
of the log and, in the hours in which it has values, its share of a custom metric's price. That is why the models of a
pool are counted together, under the pool's name: the events tell them apart.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

NAMESPACE = "Inference"
MAX_VALUES = 100
"""EMF's limit on the values of one metric in one line."""

MEASURED = {
    "QueueWait": "Milliseconds",
    "RunTime": "Milliseconds",
    "BatchSize": "Count",
    "LoadTime": "Milliseconds",
    "EndToEnd": "Milliseconds",
}
"""Metrics with a value for each request, pass or load, and their units. All other metrics are counts."""

_LEVELS = logging.getLevelNamesMapping()
_to_json = json.JSONEncoder(default=str, separators=(",", ":")).encode


class Telemetry:
    """Writes events and metrics of one function.

    Args:
        function: name of the function; part of every line.
        level: lines below it are not written.
        environment: the dimension `Environment` of each metric; empty: no metric is written.
        pools: model -> its pool, which is the dimension `Model` of the model's metrics.
    """

    def __init__(
        self, function: str, level: str = "INFO", environment: str = "", pools: Mapping[str, str] | None = None
    ) -> None:
        self._level = _LEVELS[level]
        self._environment = environment
        self._pools = pools or {}
        self._metrics: dict[str | None, dict[str, Any]] = {}
        self._common: dict[str, Any] = {"function": function}
        self._cold = True
        self._once: set[str] = set()

    def begin(self, **common: Any) -> None:
        """Start an invocation: `common` is added to each of its lines; `cold_start` is true for the first invocation
        only."""
        self._common = {"function": self._common["function"], **common, "cold_start": self._cold}
        self._cold = False
        self._once.clear()

    @contextmanager
    def adding(self, **common: Any) -> Iterator[None]:
        """Add `common` to each line of the block, those that other threads write included."""
        before = self._common
        self._common = {**before, **common}
        try:
            yield
        finally:
            self._common = before

    def identify(self, **common: Any) -> None:
        """Add `common` to each further line of the invocation: what it turned out to be about."""
        self._common = {**self._common, **common}

    def debug(self, event: str, **fields: Any) -> None:
        """What another line of the same invocation says in fewer bytes."""
        self._write("DEBUG", event, fields)

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
        if level == "ERROR":  # the alarm of a canary counts those of its version
            line["function_version"] = function_version()
        self._print(line)

    def count(self, model: str | None, name: str) -> None:
        """Add one to a metric of a model, or of this function for None."""
        if self._environment:
            values = self._values(model)
            values[name] = values.get(name, 0) + 1

    def measure(self, model: str, name: str, value: float) -> None:
        """Add a value to a metric of a model; `name` is one of `MEASURED`."""
        if self._environment:
            self._values(model).setdefault(name, []).append(value)

    def _values(self, model: str | None) -> dict[str, Any]:
        return self._metrics.setdefault(model and self._pools.get(model, model), {})

    def count_cold_start(self, model: str | None = None) -> None:
        """Count this invocation if it had to wait until its process had started."""
        if self._common["cold_start"] and os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "provisioned-concurrency":
            self.count(model, "ColdStart")

    def count_outcome(self, model: str, status: str, code: str | None = None) -> None:
        """Count a request that became final.

        Args:
            status: the final status.
            code: the error code of a failed one. An input that the model rejects is no failure of the deployment, and a
                metric of its own.
        """
        if code == "invalid_input":
            self.count(model, "InvalidInput")
            return
        self.count(model, status.title())
        if code is not None:
            self.count(model, "Failed" + code.title().replace("_", ""))

    def write_metrics(self) -> None:
        """Write what was counted and measured since the last call."""
        found, self._metrics = self._metrics, {}
        for model, values in found.items():
            if "Succeeded" in values or "Failed" in values:
                # Both: an alarm on the share of failures needs a value of each.
                values = {"Succeeded": 0, "Failed": 0, **values}
            while values:
                self._print(self._embedded(model, values))
                rest = {name: values[name][MAX_VALUES:] for name in values if name in MEASURED}
                values = {name: more for name, more in rest.items() if more}

    def drop_metrics(self) -> None:
        """Forget what was counted and measured since the last `write_metrics`."""
        self._metrics = {}

    def _embedded(self, model: str | None, values: dict[str, Any]) -> dict[str, Any]:
        dimensions = {"Environment": self._environment}
        dimensions |= {"Function": self._common["function"]} if model is None else {"Model": model}
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": MEASURED.get(name, "Count")} for name in values],
        }
        first = {name: value[:MAX_VALUES] if name in MEASURED else value for name, value in values.items()}
        metadata = {"Timestamp": now_ms(), "CloudWatchMetrics": [directive]}
        return {"_aws": metadata, "event": "metrics", **dimensions, **first}

    def _print(self, line: dict[str, Any]) -> None:
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


def function_version() -> str:
    """The published version of the function that Lambda runs."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "local")


def function_name() -> str:
    """The name that Lambda gives the function it runs."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
