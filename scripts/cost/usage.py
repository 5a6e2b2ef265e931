"""What a deployment uses in a month of 30 days, at so many requests a day."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.cost.deployment import Deployment, Worker
from scripts.cost.measured import Measured
from scripts.cost.prices import DAYS_PER_MONTH, HOURS_PER_MONTH, SECONDS_PER_MONTH, Line
from scripts.cost.requests import (
    ASSUMED_ACCESS_LOG_BYTES,
    ASSUMED_CALL_MS,
    ASSUMED_PLATFORM_LOG_BYTES,
    ASSUMED_POLLS,
    GB,
    INDEX_WRITES,
    MEMORY_MB_PER_VCPU,
    RECORD_WRITES,
    WRITE_UNIT_BYTES,
    Work,
    call_lines,
    function_lines,
    status_lines,
    units,
    worker_lines,
)

SECONDS_PER_DAY = 86_400

POLLERS = 5
"""A mapping polls its queue with five connections while little is there (AWS, Lambda's scaling with SQS)."""

LONG_POLL_SECONDS = 20

ASSUMED_IDLE_SECONDS = 300
"""How long an idle environment is kept; AWS promises nothing."""

ASSUMED_IMAGE_GB = 0.35
"""A worker's image in the registry."""

ASSUMED_LOG_COMPRESSION = 0.15
"""Stored logs are compressed; AWS's own example has 0.15."""

ASSUMED_SWEEP_MS = 400
ASSUMED_SWEEP_READS = 4
"""A sweep that finds nothing: its duration, and a read unit half used for each shard of the index, with room."""


@dataclass(frozen=True)
class Traffic:
    """What a bill needs beside the plan.

    Attributes:
        run_ms: model -> how long the worker runs for one request, at its memory; for others what was measured counts.
        fill: requests in one batch, on average; None: what the batch window collects.
        polls: status queries per request.
        peak: the busiest hour's rate over the day's mean.
        metrics: custom metrics of CloudWatch.
        image_gb: a worker's image.
    """

    run_ms: Mapping[str, float] = field(default_factory=dict)
    fill: float | None = None
    polls: float = ASSUMED_POLLS
    peak: float = 3.0
    metrics: int = 0
    image_gb: float = ASSUMED_IMAGE_GB


@dataclass(frozen=True)
class Load:
    """What a worker has to do.

    Attributes:
        per_day: requests.
        fill: requests in one batch, on average.
        batch_ms: billed duration of one invocation.
        work: what a request takes.
        vcpu_seconds: of a request, of the vCPUs that the function has.
    """

    per_day: float
    fill: float
    batch_ms: float
    work: Work
    vcpu_seconds: float

    @property
    def batches_per_second(self) -> float:
        """On the mean of the day."""
        return self.per_day / self.fill / SECONDS_PER_DAY


def idle_polls(queues: int) -> list[Line]:
    """What polling uses in a month, whether or not something is there."""
    return [Line("SQS polling", "sqs_requests", queues * POLLERS * SECONDS_PER_MONTH / LONG_POLL_SECONDS)]


def load_of(name: str, deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float) -> Load:
    """What one worker has to do when it gets so many requests a day."""
    worker = deployment.workers[name]
    fill = fill_of(worker, per_day / SECONDS_PER_DAY, traffic.fill)
    each = measured.at(fill)
    work = Work(
        batch=fill,
        worker_cpu_ms=each.cpu_ms,
        worker_calls=each.calls,
        worker_sqs_calls=each.sqs_calls,
        worker_log_bytes=each.log_bytes,
        submit=measured.submit,
        status=measured.status,
        api_memory_mb=deployment.api.memory_mb,
        access_log_bytes=ASSUMED_ACCESS_LOG_BYTES,
        writes=units(measured.record_bytes, WRITE_UNIT_BYTES) * RECORD_WRITES + INDEX_WRITES,
        record_bytes=measured.record_bytes,
    )
    memory = worker.function.memory_mb
    if name in traffic.run_ms:
        run_ms = traffic.run_ms[name]
        batch_ms = math.ceil(round(run_ms * fill + each.calls * fill * ASSUMED_CALL_MS, 6))
        return Load(per_day, fill, batch_ms, work, run_ms / 1000 * memory / MEMORY_MB_PER_VCPU)
    return Load(per_day, fill, work.worker_ms(memory), work, each.cpu_ms / 1000)


def fill_of(worker: Worker, rate: float, given: float | None) -> float:
    """Requests in one batch, on average: given, or what each of the pollers collects in the batch window."""
    wanted = rate * worker.batch_window_seconds / POLLERS if given is None else given
    return min(float(worker.batch_size), max(1.0, wanted))


def loads(deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float) -> dict[str, Load]:
    """What each worker has to do; all models get as many requests."""
    share = per_day / len(deployment.workers)
    return {name: load_of(name, deployment, traffic, measured, share) for name in deployment.workers}


def month(deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float) -> list[Line]:
    """Everything that is used in a month."""
    lines = _fixed(deployment, traffic)
    for name, load in loads(deployment, traffic, measured, per_day).items():
        if load.per_day:
            lines += requests_of(deployment, deployment.workers[name], load, traffic)
            lines += _starts(deployment, deployment.workers[name], load, measured)
    lines += _stored(lines, deployment, measured, per_day)
    return lines


def requests_of(deployment: Deployment, worker: Worker, load: Load, traffic: Traffic) -> list[Line]:
    """What the requests of one worker use in a month, without what is kept of them."""
    function, api = worker.function, deployment.api
    requests = load.per_day * DAYS_PER_MONTH
    warm = api.provisioned > 0
    return [
        *worker_lines(
            load.work, requests, function.memory_mb, load.batch_ms, function.architecture, function.provisioned > 0
        ),
        *call_lines(load.work, load.work.submit, requests, api.architecture, warm),
        *status_lines(load.work, requests * traffic.polls, api.architecture, warm),
    ]


def _starts(deployment: Deployment, worker: Worker, load: Load, measured: Measured) -> list[Line]:
    """INIT is billed. An invocation starts cold when none came for a while; arrivals are taken for Poisson's."""
    lines = []
    batches = load.batches_per_second
    for function, rate, init_ms in (
        (worker.function, batches, measured.worker_init_ms),
        (deployment.api, load.per_day / SECONDS_PER_DAY, measured.api_init_ms),
    ):
        if not function.provisioned and not function.warmth.pings_per_month:
            starts = rate * SECONDS_PER_MONTH * math.exp(-rate * ASSUMED_IDLE_SECONDS)
            if function.warmth.snapshot:
                lines.append(Line("SnapStart", "snapshot_restored_gb", starts * function.memory_mb / 1024))
            else:
                lines += function_lines("cold starts", starts, init_ms, function.memory_mb, function.architecture)[:1]
    return lines


def _fixed(deployment: Deployment, traffic: Traffic) -> list[Line]:
    """What is used while nobody calls."""
    functions = [deployment.api, *(worker.function for worker in deployment.workers.values()), *deployment.others]
    sweeps, sweeper = deployment.sweeps_per_month, deployment.others
    lines = idle_polls(deployment.polled_queues)
    for function in functions:
        if function.provisioned:
            seconds = function.provisioned * function.memory_mb / 1024 * SECONDS_PER_MONTH
            lines.append(Line("provisioned concurrency", f"provisioned_gb_seconds_{function.architecture}", seconds))
        if function.warmth.snapshot:  # of one version; Lambda deletes no old ones
            lines.append(Line("SnapStart", "snapshot_gb_seconds", function.memory_mb / 1024 * SECONDS_PER_MONTH))
        pings = function.warmth.pings_per_month
        lines += function_lines("warmer", pings, function.warmth.ping_ms, function.memory_mb, function.architecture)
        lines.append(Line("logs", "logs_gb", pings * ASSUMED_PLATFORM_LOG_BYTES / GB))
    if sweeper:
        lines += function_lines("sweeper", sweeps, ASSUMED_SWEEP_MS, sweeper[-1].memory_mb, sweeper[-1].architecture)
        lines.append(Line("sweeper", "dynamodb_strong_reads", sweeps * ASSUMED_SWEEP_READS))
        lines.append(Line("logs", "logs_gb", sweeps * (ASSUMED_PLATFORM_LOG_BYTES + 250) / GB))
    images = sum(worker.function.image for worker in deployment.workers.values())
    lines.append(Line("image registry", "ecr_gb_month", images * traffic.image_gb))
    lines.append(Line("VPC endpoints", "endpoint_hours", deployment.endpoints * HOURS_PER_MONTH))
    lines.append(Line("metrics", "cloudwatch_metric_month", traffic.metrics))
    names = {"cloudwatch_alarm_month": "alarms", "cloudwatch_dashboard_month": "dashboards", "kms_key_month": "keys"}
    lines += [Line(names[item], item, count) for item, count in deployment.per_resource.items()]
    return [line for line in lines if line.quantity]


def _stored(lines: list[Line], deployment: Deployment, measured: Measured, per_day: float) -> list[Line]:
    """What is kept at a time: records until they are deleted, logs until they expire."""
    records = measured.record_bytes * per_day * deployment.record_days / GB
    logs = sum(line.quantity for line in lines if line.item == "logs_gb") / DAYS_PER_MONTH * deployment.log_days
    kept = [
        Line("DynamoDB storage", "dynamodb_stored_gb_month", records),
        Line("DynamoDB storage", "dynamodb_backup_gb_month", records if deployment.backups else 0),
        Line("logs", "logs_stored_gb_month", logs * ASSUMED_LOG_COMPRESSION),
    ]
    return [line for line in kept if line.quantity]
