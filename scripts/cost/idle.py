"""What a deployment uses while nobody calls: polling, what is kept ready, sweeps, and what is paid by the month."""

from __future__ import annotations

from scripts.cost.demand import POLLERS, Traffic
from scripts.cost.deployment import Deployment
from scripts.cost.prices import HOURS_PER_MONTH, SECONDS_PER_MONTH, Line
from scripts.cost.requests import GB, function_lines, platform_log_bytes
from scripts.cost.webhooks import idle_lines

LONG_POLL_SECONDS = 20

ASSUMED_SWEEP_MS = 400

ASSUMED_SWEEP_READS = 17
"""A sweep that finds nothing: half a read unit for each of the 32 partitions of the index, and how far sweeps came."""


def idle_polls(queues: int) -> list[Line]:
    """What polling uses in a month, whether or not something is there."""
    return [Line("SQS polling", "sqs_requests", queues * POLLERS * SECONDS_PER_MONTH / LONG_POLL_SECONDS)]


def fixed(deployment: Deployment, traffic: Traffic) -> list[Line]:
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
        lines.append(Line("logs", "logs_gb", pings * platform_log_bytes(function.invocation_lines, own_lines=0) / GB))
    if sweeper := deployment.sweeper:
        lines += function_lines("sweeper", sweeps, ASSUMED_SWEEP_MS, sweeper.memory_mb, sweeper.architecture)
        lines.append(Line("sweeper", "dynamodb_strong_reads", sweeps * ASSUMED_SWEEP_READS))
        lines.append(Line("logs", "logs_gb", sweeps * (platform_log_bytes(sweeper.invocation_lines) + 250) / GB))
    images = sum(worker.function.image for worker in deployment.workers.values())
    lines.append(Line("image registry", "ecr_gb_month", images * traffic.image_gb))
    lines.append(Line("VPC endpoints", "endpoint_hours", deployment.endpoints * HOURS_PER_MONTH))
    names = {"cloudwatch_alarm_month": "alarms", "cloudwatch_dashboard_month": "dashboards", "kms_key_month": "keys"}
    lines += [Line(names[item], item, count) for item, count in deployment.per_resource.items()]
    return [line for line in lines if line.quantity]
