"""Arithmetic of the bill: dollars per million requests, item by item, from measured durations and counted calls.

    duration   CPU on one core here is taken for CPU on one vCPU of Lambda. A function has memory / 1,769 MB of a vCPU,
               so below that it takes longer in proportion; above it a single thread gains nothing.
    waiting    the fake answers at once; AWS does not. Every call gets ASSUMED_CALL_MS on top, and Lambda bills it.
    writes     one per KB of the record, and one per entry that appears in or disappears from the open index.

The free tier is left out everywhere. Assumptions are named in capitals, and results.json has them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY_MB_PER_VCPU = 1769
MEMORY_SIZES = (512, 1024, 1769, 3008, 5120, 10_240)
MILLION = 1_000_000
HOURS_PER_MONTH = 730
DAYS_PER_MONTH = 30
WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096

ASSUMED_CALL_MS = 5.0
"""One call to DynamoDB or SQS in the same region."""

ASSUMED_POLLS = 2
"""Status queries per request, eventually consistent."""

ASSUMED_PLATFORM_LOG_BYTES = 350
"""START, END and REPORT, which Lambda logs for every invocation."""

ASSUMED_ACCESS_LOG_BYTES = 320
"""The HTTP API's access log has a line for every call: terraform/modules/http_api, filled in (see the test)."""

ASSUMED_REFERENCE_ACCESS_LOG_BYTES = 190
"""The same in the reference document's format, which has fewer fields."""

ASSUMED_DELETE_BATCH = 10
"""The event source mapping receives and deletes at most ten messages in one call."""

IDLE_RECEIVES_PER_MONTH = 648_000
"""What a mapping's pollers call while nothing is there."""


def load_prices() -> dict[str, Any]:
    """The price file."""
    path = Path(__file__).parent / "prices.json"
    prices: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return prices


_ASSIGNED = re.compile(r'SET "(\w+)" = \?')
_UPDATED = re.compile(r"(#?\w+) = (:\w+)")


@dataclass(frozen=True)
class Call:
    """One invocation of the api function: CPU on one core, AWS calls, bytes that it logs itself."""

    cpu_ms: float
    aws_calls: float
    log_bytes: float


@dataclass(frozen=True)
class Work:
    """What one system does for one request.

    Attributes:
        batch: requests in one invocation of the worker.
        worker_cpu_ms: per request, on one core. `worker_calls`: AWS calls per request.
        worker_sqs_calls: those of them that go to SQS.
        worker_log_bytes: per request.
        submit, status: the api function's two kinds of invocation; a request takes one and ASSUMED_POLLS.
        api_memory_mb: of the api function.
        access_log_bytes: per call of the HTTP API.
        writes: DynamoDB write units per request, those of the index included.
        record_bytes: of a finished record.
    """

    batch: int
    worker_cpu_ms: float
    worker_calls: float
    worker_sqs_calls: float
    worker_log_bytes: float
    submit: Call
    status: Call
    api_memory_mb: int
    access_log_bytes: float
    writes: int
    record_bytes: int


def billed_ms(cpu_ms: float, calls: float, memory_mb: int) -> float:
    """Billed duration of one invocation in ms: CPU at this memory size's share of a vCPU, waiting, rounded up."""
    share = min(1.0, memory_mb / MEMORY_MB_PER_VCPU)
    return max(1.0, math.ceil(round(cpu_ms / share + calls * ASSUMED_CALL_MS, 6)))


def function_cost(prices: Mapping[str, Any], invocations: float, ms: float, memory_mb: int) -> float:
    """Dollars for so many invocations of `ms` each."""
    gb_seconds = invocations * ms / 1000 * memory_mb / 1024
    per_call = prices["lambda_per_million_invocations"] / MILLION
    return float(gb_seconds * prices["lambda_per_gb_second"] + invocations * per_call)


def units(size: int, unit: int) -> int:
    """DynamoDB's units: every started one counts."""
    return max(1, math.ceil(size / unit))


def per_million(prices: Mapping[str, Any], work: Work, memory_mb: int) -> dict[str, float]:
    """Dollars per million requests, by item, with a worker of this memory size."""
    invocations = MILLION / work.batch
    worker_ms = billed_ms(work.worker_cpu_ms * work.batch, work.worker_calls * work.batch, memory_mb)
    api_calls = ((MILLION, work.submit), (MILLION * ASSUMED_POLLS, work.status))
    api_invocations = sum(times for times, _ in api_calls)
    api_dollars = 0.0
    for times, call in api_calls:  # not of a mean call: Lambda rounds each duration up
        ms = billed_ms(call.cpu_ms, call.aws_calls, work.api_memory_mb)
        api_dollars += function_cost(prices, times, ms, work.api_memory_mb)
    moves = 2 * MILLION / min(work.batch, ASSUMED_DELETE_BATCH)  # the mapping's receives and deletes
    sqs_calls = MILLION + moves + MILLION * work.worker_sqs_calls
    reads = MILLION * ASSUMED_POLLS * units(work.record_bytes, READ_UNIT_BYTES) / 2
    log_bytes = MILLION * work.worker_log_bytes + sum(times * call.log_bytes for times, call in api_calls)
    log_bytes += ASSUMED_PLATFORM_LOG_BYTES * (invocations + api_invocations)
    log_bytes += work.access_log_bytes * api_invocations
    return {
        "worker": function_cost(prices, invocations, worker_ms, memory_mb),
        "api function": api_dollars,
        "HTTP API": prices["http_api_per_million_calls"] * (1 + ASSUMED_POLLS),
        "SQS": prices["sqs_per_million_calls"] * sqs_calls / MILLION,
        "DynamoDB writes": prices["dynamodb_per_million_writes"] * work.writes,
        "DynamoDB reads": prices["dynamodb_per_million_strong_reads"] * reads / MILLION,
        "logs": prices["logs_per_gb"] * log_bytes / 1024**3,
    }


def start_cost(prices: Mapping[str, Any], init_ms: float, memory_mb: int) -> float:
    """Dollars for one cold start: INIT is billed."""
    gb_seconds = math.ceil(init_ms) / 1000 * memory_mb / 1024
    return float(gb_seconds * prices["lambda_per_gb_second"])


def idle_per_month(prices: Mapping[str, Any], mappings: int) -> float:
    """Dollars a month while nobody calls: what so many mappings' polls cost (the first are in SQS's free million)."""
    return float(mappings * IDLE_RECEIVES_PER_MONTH / MILLION * prices["sqs_per_million_calls"])


def instance_per_month(prices: Mapping[str, Any]) -> float:
    """Dollars a month of the always-on instance, alone: no second one, no load balancer, no disk."""
    return float(prices["instance"]["per_hour"] * HOURS_PER_MONTH)


def break_even_per_day(prices: Mapping[str, Any], dollars_per_million: float, idle: float) -> float:
    """Requests a day from which the instance is cheaper, as long as it can take them; `idle` is dollars a month."""
    left = instance_per_month(prices) - idle
    return left / dollars_per_million * MILLION / DAYS_PER_MONTH


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Size of a DynamoDB item as DynamoDB counts it: names and values in UTF-8; numbers about half a byte a digit."""
    size = 0
    for name, attribute in item.items():
        ((kind, value),) = attribute.items()
        size += len(name.encode())
        match kind:
            case "S":
                size += len(value.encode())
            case "N":
                size += len(value) // 2 + 2
            case _:
                size += 1
    return size


def written_bytes(bodies: Mapping[str, Any]) -> int:
    """Bytes that a worker's writes put into one request's record, at most: from the bodies of its calls, by target."""
    size = 0
    for target, requests in bodies.items():
        for request in requests:
            match target.partition(".")[2]:
                case "PutItem":
                    size += item_bytes(request["Item"])
                case "UpdateItem":
                    values = request["ExpressionAttributeValues"]
                    pairs = _UPDATED.findall(request["UpdateExpression"])
                    names = request.get("ExpressionAttributeNames", {})
                    size += item_bytes({names.get(name, name): values[value] for name, value in pairs})
                case "BatchExecuteStatement":
                    first = request["Statements"][0]
                    size += item_bytes(
                        dict(zip(_ASSIGNED.findall(first["Statement"]), first["Parameters"], strict=False))
                    )
    return size
