"""Prices, work and deployments with round numbers, whose bills are computed by hand."""

from __future__ import annotations

from dataclasses import replace

from scripts.cost.deployment import Deployment, Function, Worker
from scripts.cost.measured import Measured, PerRequest
from scripts.cost.prices import Item, Machine, Prices
from scripts.cost.requests import Call, Work

PRICES = Prices(
    region="here",
    date="today",
    source="made up",
    items={
        "lambda_gb_seconds_x86_64": Item(0.00001),
        "lambda_invocations": Item(0.2e-6),
        "provisioned_gb_seconds_x86_64": Item(0.000004),
        "provisioned_running_gb_seconds_x86_64": Item(0.000006),
        "sqs_requests": Item(0.4e-6, free=1e6),
        "sqs_fair_requests": Item(0.1e-6),
        "http_api_calls": Item(1e-6, tiers=((300e6, 0.9e-6),)),
        "dynamodb_writes": Item(0.6e-6),
        "dynamodb_strong_reads": Item(0.1e-6),
        "dynamodb_stored_gb_month": Item(0.25),
        "dynamodb_backup_gb_month": Item(0.20),
        "logs_gb": Item(0.5),
        "logs_stored_gb_month": Item(0.03),
        "cloudwatch_alarm_month": Item(0.1),
        "cloudwatch_metric_month": Item(0.3),
        "ecr_gb_month": Item(0.1),
        "endpoint_hours": Item(0.01),
        "s3_puts": Item(5e-6),
        "s3_gets": Item(0.4e-6),
        "s3_stored_gb_month": Item(0.02),
    },
    instance=Machine("one", 2, 4, 0.1),
    sagemaker=Machine("two", 2, 8, 0.2),
)
WORK = Work(
    batch=10,
    worker_cpu_ms=0.5,
    worker_calls=0.3,
    worker_sqs_calls=0.1,
    worker_log_bytes=300,
    submit=Call(cpu_ms=1.0, aws_calls=2, log_bytes=450),
    status=Call(cpu_ms=0.5, aws_calls=1, log_bytes=230),
    api_memory_mb=256,
    api_invocation_lines=True,
    access_log_bytes=320,
    writes=5,
    record_bytes=600,
)
MEASURED = Measured(
    source="made up",
    alone=PerRequest(cpu_ms=2.0, calls=3.0, sqs_calls=1.0, log_bytes=500),
    full=PerRequest(cpu_ms=0.5, calls=0.3, sqs_calls=0.1, log_bytes=300),
    worker_init_ms=500,
    api_init_ms=400,
    submit=WORK.submit,
    status=WORK.status,
    record_bytes=1000,
)
API = Function("api", 1024, 10, "x86_64")
WORKER = Worker(Function("worker", 2048, 60, "x86_64"), ("mine",), batch_size=10)
POOL = replace(WORKER, models=("a", "b", "c", "d"))
DEPLOYMENT = Deployment(
    api=API, workers={"mine": WORKER}, others=(), polled_queues=2, record_days=7, log_days=30, access_log=True
)
