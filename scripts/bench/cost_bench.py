"""Part 5: the bill of a million requests, from what parts 1 to 3 measured; for each memory size, beside the reference
document's system and an always-on instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from scripts.bench import cost
from scripts.bench.api_bench import MEMORY_MB, REFERENCE_MEMORY_MB
from scripts.console import CommandError
from scripts.cost import prices as price_file
from scripts.cost import requests
from scripts.cost.idle import idle_polls
from scripts.cost.prices import DAYS_PER_MONTH, Prices
from scripts.cost.requests import Call, Work

FULL_BATCH = 10
FULL, WAITING, ALONE = "this, full batches", "this, submits wait", "this, alone"
REFERENCE_WRITES = 2  # submit, outcome
MAPPINGS = 2  # of the model's queue, and of the stack's dead-letter queue
REFERENCE_MAPPINGS = 1
TRAFFIC_PER_DAY = (1_000, 100_000, 1_000_000, 10_000_000)
MARGIN = 1.25  # of the measured peak: a function with less memory would be killed sooner or later


def measure(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what goes into results.json under `cost`.

    Raises:
        CommandError: a part that it needs has not been measured.
    """
    for part in ("worker", "cold", "api"):
        if part not in results:
            raise CommandError(f"the bill needs the part '{part}': run it once (--only {part},cost)")
    prices = price_file.load()
    default = results["worker"]["default_runtime"]
    systems = {
        FULL: (default, _work(results, default, FULL_BATCH, "api")),
        WAITING: (default, _work(results, default, FULL_BATCH, "api")),
        ALONE: (default, _work(results, default, 1, "api")),
    }
    if any(line["name"] == "reference" for line in results["worker"]["contestants"]):
        systems["reference"] = ("reference", _work(results, "reference", 1, "reference"))
    lines = {}
    for name, (contestant, work) in systems.items():
        start = _find(results["cold"], contestant)
        waits = name == WAITING
        bills = {memory: cost.per_million(prices, work, memory, waits) for memory in cost.MEMORY_SIZES}
        mappings = REFERENCE_MAPPINGS if contestant == "reference" else MAPPINGS
        lines[name] = {
            "work": asdict(work),
            "idle_per_month": sum(prices.bill(idle_polls(mappings)).values()),
            "per_million": {
                str(memory): {
                    **bill,
                    "total": sum(bill.values()),
                    "billed_ms": work.worker_ms(memory),
                    "waited_seconds": requests.waited_seconds(work, memory) if waits else 0,
                    "one_start": cost.start_cost(prices, start["init_ms"]["median"], memory),
                    "fits": start["peak_memory_mb"]["median"] * MARGIN <= memory,
                }
                for memory, bill in bills.items()
            },
        }
    return {
        "prices": {"region": prices.region, "date": prices.date, "instance": asdict(prices.instance)},
        "assumptions": {
            "call_ms": requests.ASSUMED_CALL_MS,
            "polls": requests.ASSUMED_POLLS,
            "handover_ms": requests.ASSUMED_HANDOVER_MS,
            "platform_log_bytes": requests.ASSUMED_PLATFORM_LOG_BYTES,
            "timestamp_bytes": requests.ASSUMED_TIMESTAMP_BYTES,
            "reference_access_log_bytes": cost.ASSUMED_REFERENCE_ACCESS_LOG_BYTES,
        },
        "systems": lines,
        "instance": _instance(prices, results, lines),
    }


def _work(results: Mapping[str, Any], contestant: str, batch: int, api: str) -> Work:
    worker = _find(results["worker"], contestant, batch)
    function = _find(results["api"], api)
    real = api == "api"
    record = cost.item_bytes(function["calls"]["DynamoDB_20120810.PutItem"][0]["Item"])
    sqs = sum(count for target, count in worker["calls_by_target"].items() if target.startswith("AmazonSQS"))
    record += worker["written_bytes"]
    one = requests.units(record, requests.WRITE_UNIT_BYTES)
    return Work(
        batch=batch,
        worker_cpu_ms=worker["cpu_ms"]["median"],
        worker_calls=worker["calls_per_request"],
        worker_sqs_calls=sqs,
        worker_log_bytes=worker["log_bytes_per_request"],
        submit=_call(function, "submit"),
        status=_call(function, "status"),
        api_memory_mb=MEMORY_MB if real else REFERENCE_MEMORY_MB,
        api_invocation_lines=not real,
        access_log_bytes=0 if real else cost.ASSUMED_REFERENCE_ACCESS_LOG_BYTES,
        writes=one * requests.RECORD_WRITES + requests.INDEX_WRITES if real else one * REFERENCE_WRITES,
        record_bytes=record,
        swept=real,
    )


def _call(function: Mapping[str, Any], kind: str) -> Call:
    """An invocation of one kind, as the api part has measured it."""
    return Call(function[f"{kind}_cpu_ms"]["median"], function[f"{kind}_calls"], function[f"{kind}_log_bytes"])


def _instance(prices: Prices, results: Mapping[str, Any], lines: Mapping[str, Any]) -> dict[str, Any]:
    """The always-on instance: what it costs, what it can take, and from which traffic on it is cheaper."""
    month = prices.instance.per_month
    vcpus = prices.instance.vcpus
    able = [line for line in results["worker"]["contestants"] if line["name"] in ("Mosec", "Celery + Redis")]
    capacity = {line["name"]: vcpus * 1000 / line["cpu_ms"]["median"] * 86_400 for line in able}
    cheapest = {
        name: min((bill["total"] for bill in line["per_million"].values() if bill["fits"]), default=None)
        for name, line in lines.items()
    }
    return {
        "per_month": month,
        "capacity_per_day": capacity,
        "break_even_per_day": {
            name: cost.break_even_per_day(prices, dollars, lines[name]["idle_per_month"])
            for name, dollars in cheapest.items()
            if dollars
        },
        "per_month_at": {
            str(traffic): {
                name: traffic * DAYS_PER_MONTH / requests.MILLION * dollars + lines[name]["idle_per_month"]
                for name, dollars in cheapest.items()
                if dollars
            }
            for traffic in TRAFFIC_PER_DAY
        },
    }


def _find(part: Mapping[str, Any], name: str, batch: int | None = None) -> Mapping[str, Any]:
    for line in part["contestants"]:
        if line["name"] == name and batch in (None, line.get("batch")):
            found: Mapping[str, Any] = line
            return found
    raise CommandError(f"the bill needs {name}{'' if batch is None else f' at batch {batch}'}, which was not measured")
