"""The deployment, as far as it decides how long a request takes: one model's worker and what stands before it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inference.sweep import STOP_BEFORE_TIMEOUT_MS
from scripts.console import CommandError
from scripts.cost.deployment import Deployment, Worker, of_kind
from scripts.cost.measured import Measured
from scripts.cost.prices import SECONDS_PER_MONTH
from scripts.cost.requests import ASSUMED_PASS_MS, PASS_RECORDS, billed_ms
from scripts.simulate.run_time import RunTime, Spread, run_time
from scripts.stack_defaults import defaults
from worker.invocation import RetryDelay


@dataclass(frozen=True)
class Settings:
    """What an environment sets, beside the functions.

    Attributes:
        rate, burst: `throttling`: calls of each route per second, and at once.
        visibility_seconds: how long a message that was received stays hidden.
        max_receive_count, max_attempts, deadline_seconds: of `requests`. retry: seconds between a request's attempts.
    """

    rate: float
    burst: float
    visibility_seconds: float
    max_receive_count: int
    max_attempts: int
    retry: RetryDelay
    deadline_seconds: float


@dataclass(frozen=True)
class System:
    """What is simulated.

    Attributes:
        name: of the worker: its model, or its pool.
        worker: its function, batches and limit. memory and warmth are read from it.
        api_provisioned: environments of the api function that are always ready.
        settings: of the environment. listed: the table has the index of callers.
        run: of the worker.
        submit_seconds, status_seconds: of the api function's two kinds of invocation.
        api_init_seconds, worker_init_seconds: of a cold start.
        swept_per_second: requests that the sweeps can pass, on average.
    """

    name: str
    worker: Worker
    api_provisioned: int
    settings: Settings
    listed: bool
    run: RunTime
    submit_seconds: float
    status_seconds: float
    api_init_seconds: float
    worker_init_seconds: float
    swept_per_second: float = math.inf

    @property
    def provisioned(self) -> int:
        """Environments of the worker that are always ready; of a schedule the mean of the week."""
        return math.floor(self.worker.function.provisioned)

    def with_worker(self, **changes: Any) -> System:
        """The same with other settings of the worker's mapping."""
        return replace(self, worker=replace(self.worker, **changes))


def system_of(
    deployment: Deployment, settings: Settings, name: str, measured: Measured, run_ms: float | None, spread: Spread
) -> System:
    """What is simulated of a deployment.

    Args:
        deployment, settings: of a plan.
        name: of the model.
        measured: by the bench.
        run_ms: the model's time for one request; None: the measured one.
        spread: of the requests' times.

    Raises:
        CommandError: there is no such model, or a GPU provider runs it.
    """
    key = worker_of(deployment, name)
    worker = deployment.workers[key]
    if worker.backend:
        raise CommandError(f"MODEL={name}: it runs at a GPU provider, {worker.backend.kind}, which is not simulated")
    api = deployment.api

    def seconds(cpu_ms: float, calls: float) -> float:
        return billed_ms(cpu_ms, calls, api.memory_mb) / 1000

    return System(
        name=key,
        worker=worker,
        api_provisioned=math.floor(api.provisioned),
        settings=settings,
        listed=deployment.listed,
        run=run_time(measured, run_ms, worker.function.memory_mb, worker.batch_size, spread),
        submit_seconds=seconds(measured.submit.cpu_ms, measured.submit.aws_calls),
        status_seconds=seconds(measured.status.cpu_ms, measured.status.aws_calls),
        api_init_seconds=measured.api_init_ms / 1000,
        worker_init_seconds=measured.worker_init_ms / 1000,
        swept_per_second=swept_per_second(deployment),
    )


def swept_per_second(deployment: Deployment) -> float:
    """Requests that the sweeps pass if each takes its time: a sweep passes every request once."""
    sweeper = deployment.sweeper
    if sweeper is None:
        return math.inf
    seconds = sweeper.timeout_seconds - STOP_BEFORE_TIMEOUT_MS / 1000
    return deployment.sweeps_per_month / SECONDS_PER_MONTH * seconds * PASS_RECORDS / (ASSUMED_PASS_MS / 1000)


def worker_of(deployment: Deployment, name: str) -> str:
    """The worker that runs a model, which is called as the model or its pool.

    Raises:
        CommandError: there is no such model.
    """
    found = next((key for key, worker in deployment.workers.items() if name in worker.models), None)
    if found is None:
        raise CommandError(f"MODEL={name}: there is no such model: there are {', '.join(deployment.models)}", code=2)
    return found


def settings_of(plan: Mapping[str, Any], name: str) -> Settings:
    """The settings of a plan's environment, for one worker's queue.

    Raises:
        KeyError, StopIteration: it is no plan of this stack.
    """
    stage = _one(plan, "aws_apigatewayv2_stage", "")["default_route_settings"][0]
    api = _variables(_one(plan, "aws_lambda_function", ".module.api"))
    worker = _variables(_one(plan, "aws_lambda_function", f'.module.worker["{name}"]'))
    queue = _one(plan, "aws_sqs_queue", f'.module.request_queue["{name}"]')
    redrive = json.loads(queue.get("redrive_policy") or "{}")  # not known before the dead-letter queue is
    return Settings(
        rate=stage["throttling_rate_limit"],
        burst=stage["throttling_burst_limit"],
        visibility_seconds=queue["visibility_timeout_seconds"],
        max_receive_count=int(redrive.get("maxReceiveCount") or defaults("requests")["max_receive_count"]),
        max_attempts=int(api["MAX_ATTEMPTS"]),
        retry=RetryDelay(int(worker["RETRY_BASE_SECONDS"]), int(worker["RETRY_MAX_SECONDS"])),
        deadline_seconds=float(api["REQUEST_DEADLINE_SECONDS"]),
    )


def _one(plan: Mapping[str, Any], kind: str, inside: str) -> Mapping[str, Any]:
    """The values of the first resource of a type in a module whose address has this in it."""
    return next(values for where, values in of_kind(plan, kind) if inside in where)


def _variables(function: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = function["environment"][0]["variables"]
    return found
