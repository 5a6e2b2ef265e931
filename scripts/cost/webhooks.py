"""What webhooks use: from the calls that a delivery makes (docs/architecture.md), and assumed durations.

Requests that end in one batch of a worker are announced in one: the stream gives them to the relay together. Traffic
out of AWS is not counted, as everywhere.
"""

from __future__ import annotations

import math

from scripts.cost.deployment import Deployment, Function
from scripts.cost.prices import Line
from scripts.cost.requests import (
    FAIR_SENDS,
    GB,
    READ_UNIT_BYTES,
    WRITE_UNIT_BYTES,
    function_lines,
    platform_log_bytes,
    units,
)
from scripts.stack_defaults import defaults

INDEX_WRITES = 2
"""The entry of the index `webhooks` appears with the record and disappears with the delivery."""

RECORD_WRITES = 2
"""Claim and result."""

BATCH_SIZE = 10
"""Of the deliverer: terraform/modules/webhooks."""

QUEUE_CALLS = 3
"""Send, receive, delete."""

ASSUMED_RELAY_MS = 20
ASSUMED_DELIVERER_MS = 200
"""Most of it is waiting for the receiver."""

LOG_BYTES = 250
"""The relay's line and the deliverer's, each."""

ASSUMED_CHECK_MS = 30
"""Of the relay, for the end of an item of a batch: two reads."""

CHECK_READS = 2
"""The batch's record, and its last item."""

FINISH_WRITES = 1
"""`finished_at`. The confirmation is in the batch's own calls."""

SWEEP_READS = 8
"""Of a sweep in the index: half a unit for each of its 16 shards."""


def delivery_lines(deployment: Deployment, times: float, record_bytes: float, fill: float) -> list[Line]:
    """What so many deliveries use that are accepted at the first attempt. For a deployment without webhooks: what they
    would use. `fill`: requests in one batch of the worker, on average."""
    batches = times / min(fill, BATCH_SIZE)
    function = deployment.deliverer or Function(
        "deliverer", int(defaults("webhooks")["memory_mb"]), 30, deployment.api.architecture, invocation_lines=False
    )
    memory, architecture = function.memory_mb, function.architecture
    writes = RECORD_WRITES * units(record_bytes, WRITE_UNIT_BYTES) + INDEX_WRITES
    platform = platform_log_bytes(function.invocation_lines, own_lines=times / batches)
    relay = function_lines("webhooks", batches, ASSUMED_RELAY_MS, memory, architecture)
    deliverer = function_lines("webhooks", batches, ASSUMED_DELIVERER_MS, memory, architecture)
    return [
        *relay,
        *deliverer,
        Line("webhooks", "dynamodb_writes", times * writes),
        Line("webhooks", "dynamodb_strong_reads", times * units(record_bytes, READ_UNIT_BYTES)),
        Line("webhooks", "sqs_requests", batches * QUEUE_CALLS),
        Line("webhooks", "sqs_fair_requests", times * FAIR_SENDS),
        Line("webhooks", "logs_gb", 2 * (times * LOG_BYTES + batches * platform) / GB),
    ]


def batch_delivery_lines(
    deployment: Deployment, times: float, items: int, record_bytes: float, fill: float
) -> list[Line]:
    """What so many deliveries use that are of batches of so many items, which end in their order: a delivery of each,
    the relay's check after each group of items that end together, and two reads of each item: by the last check, and
    for the payload's counts."""
    function = deployment.deliverer
    memory = function.memory_mb if function else int(defaults("webhooks")["memory_mb"])
    invocation_lines = function is not None and function.invocation_lines
    checks = times * math.ceil(items / min(fill, BATCH_SIZE))
    reads = checks * CHECK_READS + times * 2 * items * units(record_bytes, READ_UNIT_BYTES)
    return [
        *delivery_lines(deployment, times, record_bytes, 1),
        *function_lines("webhooks", checks, ASSUMED_CHECK_MS, memory, deployment.api.architecture),
        Line("webhooks", "dynamodb_strong_reads", reads),
        Line("webhooks", "dynamodb_writes", times * FINISH_WRITES),
        Line("webhooks", "logs_gb", checks * platform_log_bytes(invocation_lines, own_lines=0) / GB),
    ]


def idle_lines(deployment: Deployment) -> list[Line]:
    """What a deployment with webhooks uses while nobody calls, beside the polling of their queue."""
    if deployment.deliverer is None:
        return []
    return [Line("sweeper", "dynamodb_strong_reads", deployment.sweeps_per_month * SWEEP_READS)]
