"""What each worker of a deployment has to do, at so many requests a day."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.cost.deployment import Deployment, Worker
from scripts.cost.dispatch import ASSUMED_PROVIDER_MS
from scripts.cost.measured import Measured
from scripts.cost.requests import (
    ASSUMED_ACCESS_LOG_BYTES,
    ASSUMED_CALL_MS,
    ASSUMED_POLLS,
    INDEX_WRITES,
    MEMORY_MB_PER_VCPU,
    RECORD_WRITES,
    WRITE_UNIT_BYTES,
    Work,
    units,
)

SECONDS_PER_DAY = 86_400

POLLERS = 5
"""A mapping polls its queue with five connections while little is there (AWS, Lambda's scaling with SQS)."""

METRICS_LINE_BYTES = 572
METRICS_LINE_BYTES_A_REQUEST = 11.2
"""The line with the metrics of one batch: 583 bytes for one request, 684 for ten, as measured."""

ASSUMED_IMAGE_GB = 0.35
"""A worker's image in the registry."""

ASSUMED_KEYS = 10
"""API keys in use at the same time."""


@dataclass(frozen=True)
class Traffic:
    """What a bill needs beside the plan.

    Attributes:
        run_ms: model -> how long the worker runs for one request, at its memory, or its backend does; for others what
            was measured counts, or what the backend says.
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
        api_invocation_lines=deployment.api.invocation_lines,
        access_log_bytes=ASSUMED_ACCESS_LOG_BYTES if deployment.access_log else 0,
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


def run_seconds(worker: Worker, traffic: Traffic) -> float:
    """Of a request at a worker's backend: given, else what its settings say; 0 where neither does."""
    given = [traffic.run_ms[model] / 1000 for model in worker.models if model in traffic.run_ms]
    said = worker.backend.run_seconds if worker.backend else None
    return statistics.fmean(given) if given else said or 0.0
