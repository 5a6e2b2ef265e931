"""How long functions take and what they log: measured by the bench, or kept from one of its runs in measured.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.cost.requests import Call

FILE = Path(__file__).with_name("measured.json")
ONE, FULL = 1, 10  # the batches that are measured


@dataclass(frozen=True)
class PerRequest:
    """What a worker takes for one request of a batch."""

    cpu_ms: float
    calls: float
    sqs_calls: float
    log_bytes: float


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        source: by whom, where and when.
        alone, full: a request alone in its batch, and in one of ten.
        worker_init_ms, api_init_ms: of a cold start, until the function takes its first event.
        submit, status: the api function's invocations.
        record_bytes: of a finished record.
    """

    source: str
    alone: PerRequest
    full: PerRequest
    worker_init_ms: float
    api_init_ms: float
    submit: Call
    status: Call
    record_bytes: float

    def at(self, batch: float) -> PerRequest:
        """Per request, in batches of this size: what an invocation takes is a straight line through the two."""

        def of(alone: float, full: float) -> float:
            step = (full * FULL - alone) / (FULL - ONE)
            return max(0.0, alone + step * (batch - ONE)) / batch

        alone, full = vars(self.alone), vars(self.full)
        return PerRequest(**{name: of(alone[name], full[name]) for name in alone})


def load(path: Path = FILE) -> Measured:
    """Read what is kept."""
    return _parse(json.loads(path.read_text(encoding="utf-8")))


def of_bench(results: Mapping[str, Any]) -> Measured | None:
    """What a run of the bench measured; None when it lacks a part."""
    from scripts.bench.cost import item_bytes

    if not {"worker", "cold", "api"} <= results.keys():
        return None
    runtime = results["worker"]["default_runtime"]
    lines = {line["batch"]: line for line in results["worker"]["contestants"] if line["name"] == runtime}
    start = next(line for line in results["cold"]["contestants"] if line["name"] == runtime)
    api = next(line for line in results["api"]["contestants"] if line["name"] == "api")
    record = item_bytes(api["calls"]["DynamoDB_20120810.PutItem"][0]["Item"]) + lines[FULL]["written_bytes"]
    measured = results["measured"]["worker"]
    return _parse(
        {
            "source": f"make bench on this machine, {measured['at']}{', quick' if measured['quick'] else ''}",
            "worker": {str(batch): _of_line(lines[batch]) for batch in (ONE, FULL)},
            "worker_init_ms": start["init_ms"]["median"],
            "api_init_ms": api["init_ms"]["median"],
            "record_bytes": record,
        }
        | {
            kind: {
                "cpu_ms": api[f"{kind}_cpu_ms"]["median"],
                "aws_calls": api[f"{kind}_calls"],
                "log_bytes": api[f"{kind}_log_bytes"],
            }
            for kind in ("submit", "status")
        }
    )


def _of_line(line: Mapping[str, Any]) -> dict[str, float]:
    sqs = sum(count for target, count in line["calls_by_target"].items() if target.startswith("AmazonSQS"))
    return {
        "cpu_ms": line["cpu_ms"]["median"],
        "calls": line["calls_per_request"],
        "sqs_calls": sqs,
        "log_bytes": line["log_bytes_per_request"],
    }


def _parse(raw: Mapping[str, Any]) -> Measured:
    return Measured(
        source=raw["source"],
        alone=PerRequest(**raw["worker"][str(ONE)]),
        full=PerRequest(**raw["worker"][str(FULL)]),
        worker_init_ms=raw["worker_init_ms"],
        api_init_ms=raw["api_init_ms"],
        submit=Call(**raw["submit"]),
        status=Call(**raw["status"]),
        record_bytes=raw["record_bytes"],
    )
