"""What the bench's bill needs beside scripts/cost: the sizes of records, the price of a start, the reference's log."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from scripts.cost.prices import DAYS_PER_MONTH, Line, Prices
from scripts.cost.requests import MILLION, Work, request_lines, waiting_request_lines

MEMORY_SIZES = (512, 1024, 1769, 3008, 5120, 10_240)

ASSUMED_REFERENCE_ACCESS_LOG_BYTES = 190
"""The HTTP API's access log in the reference document's format, which has fewer fields."""

_ASSIGNED = re.compile(r'SET "(\w+)" = \?')
_UPDATED = re.compile(r"(#?\w+) = (:\w+)")


def per_million(prices: Prices, work: Work, memory_mb: int, waits: bool = False) -> dict[str, float]:
    """Dollars per million requests, by component, with a worker of this memory size, without the free tier.

    Args:
        waits: the submit waits for the outcome, in place of status queries.
    """
    return prices.bill((waiting_request_lines if waits else request_lines)(work, memory_mb))


def start_cost(prices: Prices, init_ms: float, memory_mb: int) -> float:
    """Dollars for one cold start: INIT is billed."""
    line = Line("start", "lambda_gb_seconds_x86_64", math.ceil(init_ms) / 1000 * memory_mb / 1024)
    return prices.bill([line])["start"]


def break_even_per_day(prices: Prices, dollars_per_million: float, idle: float) -> float:
    """Requests a day from which the instance is cheaper, as long as it can take them; `idle` is dollars a month."""
    left = prices.instance.per_month - idle
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
