"""What a deployment uses in a month of 30 days, at so many requests a day."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.cost.deployment import Deployment, Function, Worker
from scripts.cost.dispatch import ASSUMED_PROVIDER_MS, look_lines
from scripts.cost.files import BODY_ITEMS, file_lines
from scripts.cost.measured import Measured
from scripts.cost.prices import DAYS_PER_MONTH, HOURS_PER_MONTH, SECONDS_PER_MONTH, Line
from scripts.cost.requests import (
    ASSUMED_ACCESS_LOG_BYTES,
    ASSUMED_CALL_MS,
    ASSUMED_PLATFORM_LOG_BYTES,
    ASSUMED_POLLS,
    FAIR_SENDS,
    GB,
    INDEX_WRITES,
    LIST_ENTRY_BYTES,
    LIST_WRITES,
    MEMORY_MB_PER_VCPU,
    RECORD_WRITES,
    WRITE_UNIT_BYTES,
    Work,
    batch_lines,
    billed_ms,
    call_lines,
    function_lines,
    large_lines,
    status_lines,
    units,
    wait_lines,
    worker_lines,
)
from scripts.cost.webhooks import batch_delivery_lines, delivery_lines, idle_lines

SECONDS_PER_DAY = 86_400

POLLERS = 5
"""A mapping polls its queue with five connections while little is there (AWS, Lambda's scaling with SQS)."""

LONG_POLL_SECONDS = 20

ASSUMED_IDLE_SECONDS = 300
"""How long an idle environment is kept; AWS promises nothing."""

WORKER_METRICS = ("QueueWait", "RunTime", "BatchSize", "EndToEnd", "Succeeded", "Failed")
"""What a worker writes in every batch, of all its models together; beside them are ColdStart and LoadTime after a
start, and one for each way in which a request fails. A custom metric is paid for in the hours in which it has values.
"""

METRICS_LINE_BYTES = 572
METRICS_LINE_BYTES_A_REQUEST = 11.2
"""The line with the metrics of one batch: 583 bytes for one request, 684 for ten, as measured."""

MOST_EXPONENT = 100.0  # above it there are no cold starts

ASSUMED_IMAGE_GB = 0.35
"""A worker's image in the registry."""

ASSUMED_LOG_COMPRESSION = 0.15
"""Stored logs are compressed; AWS's own example has 0.15."""

ASSUMED_KEYS = 10
"""API keys in use at the same time."""

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
        items: requests that are submitted together, as a batch; then `polls` and `webhooks` are of each batch. 1: each
            alone; above 100: in a file.
        waits: seconds that a submit waits for the result (Prefer: wait), on average.
        webhooks: webhooks per request.
        keys: API keys in use at the same time, each by as many calls.
        large: the share of requests with an upload. large_bytes: the size of each.
        peak: the busiest hour's rate over the day's mean.
        image_gb: a worker's image.
    """

    run_ms: Mapping[str, float] = field(default_factory=dict)
    fill: float | None = None
    polls: float = ASSUMED_POLLS
    items: int = 1
    waits: float = 0.0
    webhooks: float = 0.0
    keys: int = ASSUMED_KEYS
    large: float = 0.0
    large_bytes: float = 1e6
    peak: float = 3.0
    image_gb: float = ASSUMED_IMAGE_GB


@dataclass(frozen=True)
class Load:
    """What a worker has to do.

    Attributes:
        per_day: requests.
        fill: requests in one batch, on average.
        batch_models: the models that these are of, on average.
        model_ms: model -> billed duration of one invocation whose requests are all of this model.
        work: what a request takes.
        vcpu_seconds: of a request, of the vCPUs that the function has.
    """

    per_day: float
    fill: float
    batch_models: float
    model_ms: Mapping[str, float]
    work: Work
    vcpu_seconds: float

    @property
    def batch_ms(self) -> float:
        """Billed duration of one invocation: all its models get as many requests."""
        return statistics.fmean(self.model_ms.values())

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
    batch_models = distinct(len(worker.models), fill)
    group = fill / batch_models  # each model's requests in a batch are one pass, with calls of its own
    each = measured.at(group)
    metrics = METRICS_LINE_BYTES / fill + METRICS_LINE_BYTES_A_REQUEST if worker.function.metrics else 0
    work = Work(
        batch=fill,
        worker_cpu_ms=each.cpu_ms,
        worker_calls=each.calls,
        worker_sqs_calls=each.sqs_calls,
        worker_log_bytes=each.log_bytes + metrics,
        submit=measured.submit,
        status=measured.status,
        api_memory_mb=deployment.api.memory_mb,
        access_log_bytes=ASSUMED_ACCESS_LOG_BYTES,
        writes=units(measured.record_bytes, WRITE_UNIT_BYTES) * RECORD_WRITES + INDEX_WRITES,
        record_bytes=measured.record_bytes,
    )
    memory = worker.function.memory_mb
    model_ms, vcpu_seconds = {}, []
    for model in worker.models:
        if worker.backend:
            model_ms[model] = float(math.ceil(ASSUMED_PROVIDER_MS + each.calls * fill * ASSUMED_CALL_MS))
            vcpu_seconds.append(0.0)
        elif model in traffic.run_ms:
            run_ms = traffic.run_ms[model]
            model_ms[model] = float(math.ceil(round(run_ms * fill + each.calls * fill * ASSUMED_CALL_MS, 6)))
            vcpu_seconds.append(run_ms / 1000 * memory / MEMORY_MB_PER_VCPU)
        else:
            model_ms[model] = work.worker_ms(memory)
            vcpu_seconds.append(each.cpu_ms / 1000)
    return Load(per_day, fill, batch_models, model_ms, work, statistics.fmean(vcpu_seconds))


def distinct(models: int, requests: float) -> float:
    """How many of a worker's models some requests are of, on average, when all get as many; at least one."""
    return max(1.0, models - models * math.pow(1 - 1 / models, requests))


def fill_of(worker: Worker, rate: float, given: float | None) -> float:
    """Requests in one batch, on average: given, or what each of the pollers collects in the batch window."""
    wanted = rate * worker.batch_window_seconds / POLLERS if given is None else given
    return min(float(worker.batch_size), max(1.0, wanted))


def loads(deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float) -> dict[str, Load]:
    """What each worker has to do; all models get as many requests."""
    share = per_day / len(deployment.models)
    return {
        name: load_of(name, deployment, traffic, measured, share * len(worker.models))
        for name, worker in deployment.workers.items()
    }


def month(deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float) -> list[Line]:
    """Everything that is used in a month."""
    lines = _fixed(deployment, traffic)
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


def run_seconds(worker: Worker, traffic: Traffic) -> float:
    """Of a request at a worker's backend: given, else what its settings say; 0 where neither does."""
    given = [traffic.run_ms[model] / 1000 for model in worker.models if model in traffic.run_ms]
    said = worker.backend.run_seconds if worker.backend else None
    return statistics.fmean(given) if given else said or 0.0


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
        Line("logs", "logs_gb", count * ASSUMED_PLATFORM_LOG_BYTES / GB),
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


def _share_of_hours(rate: float) -> float:
    """The share of hours in which something happens that happens so often per second."""
    return 1 - math.exp(-rate * 3600)


def _fixed(deployment: Deployment, traffic: Traffic) -> list[Line]:
    """What is used while nobody calls."""
    functions = [deployment.api, *(worker.function for worker in deployment.workers.values()), *deployment.others]
    sweeps = deployment.sweeps_per_month
    lines = idle_polls(deployment.polled_queues) + idle_lines(deployment)
    for function in functions:
        if function.provisioned:
            seconds = function.provisioned * function.memory_mb / 1024 * SECONDS_PER_MONTH
            lines.append(Line("provisioned concurrency", f"provisioned_gb_seconds_{function.architecture}", seconds))
        if function.warmth.snapshot:  # of one version; Lambda deletes no old ones
            lines.append(Line("SnapStart", "snapshot_gb_seconds", function.memory_mb / 1024 * SECONDS_PER_MONTH))
        pings = function.warmth.pings_per_month
        lines += function_lines("warmer", pings, function.warmth.ping_ms, function.memory_mb, function.architecture)
        lines.append(Line("logs", "logs_gb", pings * ASSUMED_PLATFORM_LOG_BYTES / GB))
    for sweeper in (function for function in deployment.others if function.name.endswith("sweeper")):
        lines += function_lines("sweeper", sweeps, ASSUMED_SWEEP_MS, sweeper.memory_mb, sweeper.architecture)
        lines.append(Line("sweeper", "dynamodb_strong_reads", sweeps * ASSUMED_SWEEP_READS))
        lines.append(Line("logs", "logs_gb", sweeps * (ASSUMED_PLATFORM_LOG_BYTES + 250) / GB))
    images = sum(worker.function.image for worker in deployment.workers.values())
    lines.append(Line("image registry", "ecr_gb_month", images * traffic.image_gb))
    lines.append(Line("VPC endpoints", "endpoint_hours", deployment.endpoints * HOURS_PER_MONTH))
    names = {"cloudwatch_alarm_month": "alarms", "cloudwatch_dashboard_month": "dashboards", "kms_key_month": "keys"}
    lines += [Line(names[item], item, count) for item, count in deployment.per_resource.items()]
    return [line for line in lines if line.quantity]


def _stored(
    lines: list[Line], deployment: Deployment, traffic: Traffic, measured: Measured, per_day: float
) -> list[Line]:
    """What is kept at a time: records and uploads until they are deleted, logs until they expire."""
    records = measured.record_bytes * per_day * deployment.record_days / GB
    logs = sum(line.quantity for line in lines if line.item == "logs_gb") / DAYS_PER_MONTH * deployment.log_days
    entries = LIST_ENTRY_BYTES * per_day * deployment.record_days / GB if deployment.listed else 0
    uploads = traffic.large * traffic.large_bytes * per_day * deployment.payload_days / GB
    kept = [
        Line("DynamoDB storage", "dynamodb_stored_gb_month", records),
        Line("list of requests", "dynamodb_stored_gb_month", entries),
        Line("DynamoDB storage", "dynamodb_backup_gb_month", records if deployment.backups else 0),
        Line("S3", "s3_stored_gb_month", uploads),
        Line("logs", "logs_stored_gb_month", logs * ASSUMED_LOG_COMPRESSION),
    ]
    return [line for line in kept if line.quantity]
