"""What a deployment uses in a month of 30 days, at so many requests a day."""

from __future__ import annotations

import math
from collections.abc import Mapping

from inference.store.request_table import SHARDS
from scripts.cost.demand import SECONDS_PER_DAY, Load, Traffic, distinct, loads, run_seconds
from scripts.cost.deployment import Deployment, Function, Worker
from scripts.cost.dispatch import look_lines
from scripts.cost.files import BODY_ITEMS, file_lines
from scripts.cost.idle import fixed
from scripts.cost.measured import Measured
from scripts.cost.prices import DAYS_PER_MONTH, SECONDS_PER_MONTH, Line
from scripts.cost.requests import (
    FAIR_SENDS,
    GB,
    INDEX_ENTRY_BYTES,
    LIST_ENTRY_BYTES,
    LIST_WRITES,
    batch_lines,
    billed_ms,
    call_lines,
    function_lines,
    large_lines,
    platform_log_bytes,
    status_lines,
    wait_lines,
    worker_lines,
)
from scripts.cost.webhooks import batch_delivery_lines, delivery_lines

ASSUMED_IDLE_SECONDS = 300
"""How long an idle environment is kept; AWS promises nothing."""

WORKER_METRICS = ("QueueWait", "RunTime", "BatchSize", "EndToEnd", "Succeeded", "Failed")
"""What a worker writes in every batch, of all its models together; beside them are ColdStart and LoadTime after a
start, and one for each way in which a request fails. A custom metric is paid for in the hours in which it has values.
"""

MOST_EXPONENT = 100.0  # above it there are no cold starts

ASSUMED_LOG_COMPRESSION = 0.15
"""Stored logs are compressed; AWS's own example has 0.15."""


def month(deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float) -> list[Line]:
    """Everything that is used in a month."""
    lines = fixed(deployment, traffic)
    if per_day:
        found = loads(deployment, traffic, measured, per_day)
        for name, load in found.items():
            worker = deployment.workers[name]
            lines += requests_of(deployment, worker, load, traffic)
            starts, model_loads = _starts_of(worker, load)
            inits = 0 if worker.function.warmth.snapshot and len(worker.models) == 1 else model_loads
            # without a runtime a dispatcher starts as fast as the api
            init_ms = measured.api_init_ms if worker.backend else measured.worker_init_ms
            lines += start_lines(worker.function, starts, inits, init_ms)
        rate = per_day / SECONDS_PER_DAY
        starts = starts_per_second(deployment.api, rate)
        lines += start_lines(
            deployment.api, starts, 0 if deployment.api.warmth.snapshot else starts, measured.api_init_ms
        )
        if deployment.authorizer:
            calls = rate * (1 + traffic.polls) / traffic.items
            lines += authorizer_lines(deployment.authorizer, deployment.cache_seconds, traffic.keys, calls, measured)
        if count := custom_metrics(deployment, found, rate):
            lines.append(Line("metrics", "cloudwatch_metric_month", count))
        lines += _cursor_lines(deployment.sweeps_per_month, per_day)
    lines += _stored(lines, deployment, traffic, measured, per_day)
    return lines


def requests_of(deployment: Deployment, worker: Worker, load: Load, traffic: Traffic) -> list[Line]:
    """What the requests of one worker use in a month, without what is kept of them."""
    function, api = worker.function, deployment.api
    requests = load.per_day * DAYS_PER_MONTH
    warm = api.provisioned > 0
    listed = [Line("list of requests", "dynamodb_writes", requests * LIST_WRITES)] if deployment.listed else []
    large = large_lines(requests * traffic.large, traffic.large_bytes) if traffic.large else []
    if traffic.items > BODY_ITEMS:
        calls = file_lines(deployment, load.work, requests, traffic.items, traffic.polls, warm)
    elif traffic.items > 1:
        calls = batch_lines(load.work, requests, traffic.items, traffic.polls, api.architecture, warm)
    else:
        calls = [
            *call_lines(load.work, load.work.submit, requests, api.architecture, warm),
            *status_lines(load.work, requests * traffic.polls, api.architecture, warm),
        ]
    looks = (
        look_lines(
            worker.backend,
            run_seconds(worker, traffic),
            requests,
            function.memory_mb,
            function.architecture,
            function.provisioned > 0,
        )
        if worker.backend
        else []
    )
    waits = wait_lines(traffic.waits, requests, api.memory_mb, api.architecture) if traffic.waits else []
    sent = requests / traffic.items * traffic.webhooks
    record_bytes = load.work.record_bytes
    if traffic.items > 1 and sent:
        delivered = batch_delivery_lines(deployment, sent, traffic.items, record_bytes, load.fill)
    else:
        delivered = delivery_lines(deployment, sent, record_bytes, load.fill) if sent else []
    return [
        Line("fair queues", "sqs_fair_requests", requests * FAIR_SENDS),
        *listed,
        *large,
        *waits,
        *looks,
        *delivered,
        *worker_lines(
            load.work,
            requests,
            function.memory_mb,
            load.batch_ms,
            function.architecture,
            function.provisioned > 0,
            traffic.items,
        ),
        *calls,
    ]


def authorizer_lines(
    authorizer: Function, cache_seconds: float, keys: int, calls: float, measured: Measured
) -> list[Line]:
    """What API Gateway's questions use in a month. A key is asked for, then not for `cache_seconds`, then at its next
    call; arrivals are taken for Poisson's. A question takes as long as a status query: both read one item.

    Args:
        calls: per second, of all keys.
    """
    each = calls / keys
    asked = keys * each / (1 + each * cache_seconds)
    count = asked * SECONDS_PER_MONTH
    ms = billed_ms(measured.status.cpu_ms, measured.status.aws_calls, authorizer.memory_mb)
    starts = starts_per_second(authorizer, asked)
    return [
        *function_lines("authorizer", count, ms, authorizer.memory_mb, authorizer.architecture),
        Line("authorizer", "dynamodb_strong_reads", count),
        Line("logs", "logs_gb", count * platform_log_bytes(authorizer.invocation_lines, own_lines=0) / GB),
        *start_lines(authorizer, starts, starts, measured.api_init_ms),
    ]


def starts_per_second(function: Function, rate: float) -> float:
    """Cold starts. An invocation starts cold when none came for a while; arrivals are taken for Poisson's."""
    if function.provisioned or function.warmth.pings_per_month:
        return 0.0
    return rate * math.exp(-rate * ASSUMED_IDLE_SECONDS)


def _starts_of(worker: Worker, load: Load) -> tuple[float, float]:
    """A worker's cold starts, and its models' loads, each per second: the models of a pool are loaded when they are
    first used, so that between two starts those that get a request are loaded."""
    rate = load.batches_per_second
    starts = starts_per_second(worker.function, rate)
    invocations = math.exp(min(rate * ASSUMED_IDLE_SECONDS, MOST_EXPONENT))  # between two starts
    return starts, starts * distinct(len(worker.models), load.fill * invocations)


def start_lines(function: Function, starts: float, inits: float, init_ms: float) -> list[Line]:
    """What cold starts use: INIT is billed, or the restoring of a snapshot.

    Args:
        starts: per second.
        inits: per second, those of environments and the loads of a pool's models, which are taken to be as long.
        init_ms: of one.
    """
    count = inits * SECONDS_PER_MONTH
    lines = function_lines("cold starts", count, init_ms, function.memory_mb, function.architecture)[:1]
    if function.warmth.snapshot:
        restored = starts * SECONDS_PER_MONTH * function.memory_mb / 1024
        lines.append(Line("SnapStart", "snapshot_restored_gb", restored))
    return [line for line in lines if line.quantity]


def custom_metrics(deployment: Deployment, found: Mapping[str, Load], rate: float) -> float:
    """Custom metrics that are paid for, on average over the month: those of a month's hours that have values.

    Args:
        deployment: says which functions write metrics.
        found: what each worker has to do.
        rate: requests per second.
    """
    count = 0.0
    for name, load in found.items():
        worker = deployment.workers[name]
        if worker.function.metrics:
            starts, model_loads = _starts_of(worker, load)
            count += len(WORKER_METRICS) * _share_of_hours(load.batches_per_second)
            count += _share_of_hours(starts) + _share_of_hours(model_loads)
    if deployment.api.metrics:
        count += _share_of_hours(starts_per_second(deployment.api, rate))
    return count


def _cursor_lines(sweeps: float, per_day: float) -> list[Line]:
    """How far a sweep has come is written for each shard in which there was a request since the last one."""
    shards = sweeps * len(SHARDS)
    written = shards * (1 - math.exp(-per_day * DAYS_PER_MONTH / shards)) if shards else 0
    return [Line("sweeper", "dynamodb_writes", written)] if written else []


def _share_of_hours(rate: float) -> float:
    """The share of hours in which something happens that happens so often per second."""
    return 1 - math.exp(-rate * 3600)


def _stored(
    lines: list[Line], deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float
) -> list[Line]:
    """What is kept at a time: records and uploads until they are deleted, logs until they expire."""
    records = measured.record_bytes * per_day * deployment.record_days / GB
    logs = sum(line.quantity for line in lines if line.item == "logs_gb") / DAYS_PER_MONTH * deployment.log_days
    entries = LIST_ENTRY_BYTES * per_day * deployment.record_days / GB if deployment.listed else 0
    submits = INDEX_ENTRY_BYTES * per_day * deployment.record_days / GB
    uploads = traffic.large * traffic.large_bytes * per_day * deployment.payload_days / GB
    kept = [
        Line("DynamoDB storage", "dynamodb_stored_gb_month", records + submits),
        Line("list of requests", "dynamodb_stored_gb_month", entries),
        Line("DynamoDB storage", "dynamodb_backup_gb_month", records if deployment.backups else 0),
        Line("S3", "s3_stored_gb_month", uploads),
        Line("logs", "logs_stored_gb_month", logs * ASSUMED_LOG_COMPRESSION),
    ]
    return [line for line in kept if line.quantity]
