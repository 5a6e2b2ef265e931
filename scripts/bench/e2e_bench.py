"""Part 4: the whole way through the emulator, next to what the emulator alone takes.

The emulator shares this machine with everything it runs, and is far slower than AWS where many calls come at once:
these numbers say that the parts work together and how little they add, not how fast AWS is.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import httpx2

from async_inference_client import Client
from scripts.bench import traffic
from scripts.bench.plan import Plan
from scripts.bench.stats import quantile, spread
from scripts.console import CommandError
from scripts.deployment import terraform
from scripts.deployment.apply import apply
from scripts.local import emulator
from scripts.operate.endpoint import base_url

WAIT_SECONDS = 120.0
POLL_SECONDS = 0.1
FLOOR_CALLS = 40
NAME = "bench-floor"
PERCENTILES = (0.5, 0.9, 0.95, 0.99)
Say = Callable[[str], None]


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    """Deploy when needed, measure, and leave the emulator as it was found; what goes into results.json under `e2e`.

    Raises:
        CommandError: it can't be deployed (no Terraform, port taken), or a request does not succeed.
    """
    local = emulator.current()
    was_running = local.pid is not None
    try:
        say("e2e: deploying to the emulator (the first time takes a minute)")
        if apply(terraform.LOCAL):
            raise CommandError("the stack could not be deployed: see above")
        client = Client(base_url(terraform.LOCAL))
        say("e2e: the emulator's own floor")
        floor = _floor(local, client.base_url)
        way(client, "warm up, please")
        say(f"e2e: {plan.e2e_single} requests, one at a time")
        single = [way(client, text) for text in traffic.texts(plan.e2e_single, seed=1)]
        say(f"e2e: {plan.e2e_burst} requests, {plan.e2e_clients} clients")
        burst, seconds = _burst(client, plan)
    finally:
        if not was_running:
            emulator.current().stop()
    return {
        "single_ms": percentiles(single),
        "burst": {
            "requests": plan.e2e_burst,
            "clients": plan.e2e_clients,
            "per_second": plan.e2e_burst / seconds,
            "latency_ms": percentiles(burst),
        },
        "floor_ms": floor,
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90, p95 and p99, and the largest."""
    shown = {f"p{share * 100:g}": quantile(values, share) for share in PERCENTILES}
    return shown | {"max": max(values), "count": len(values)}


def way(client: Client, text: str, model: str | None = None) -> float:
    """Milliseconds from the submit to the outcome's time in the record: how often one asks does not matter.

    Raises:
        CommandError: the request does not succeed.
    """
    sent = time.time()
    return _outcome(client, client.submit({"text": text}, model=model).request_id, sent)[0]


def _outcome(client: Client, request_id: str, sent: float) -> tuple[float, float]:
    answer = client.wait(request_id, timeout=WAIT_SECONDS, poll_seconds=POLL_SECONDS)
    if answer.status != "succeeded" or answer.finished_at is None:
        raise CommandError(f"request {request_id} is {answer.status}: {answer.error}")
    finished = answer.finished_at.timestamp()
    return 1000 * (finished - sent), finished


def _burst(client: Client, plan: Plan) -> tuple[list[float], float]:
    """All at once: latencies in ms, and the seconds from the first submit to the last outcome."""

    def submit(text: str) -> tuple[str, float]:
        sent = time.time()
        return client.submit({"text": text}).request_id, sent

    began = time.time()
    with ThreadPoolExecutor(plan.e2e_clients) as clients:
        submitted = list(clients.map(submit, traffic.texts(plan.e2e_burst, seed=2)))
    # Asked only now, one by one: questions in between would take the emulator from the requests.
    outcomes = [_outcome(client, request_id, sent) for request_id, sent in submitted]
    return [latency for latency, _ in outcomes], max(finished for _, finished in outcomes) - began


def _floor(local: emulator.Emulator, base_url: str) -> dict[str, Any]:
    """What the emulator takes for the bare calls, for a function that does nothing, and for its HTTP API."""
    with _resources(local) as calls, httpx2.Client(trust_env=False) as http:
        calls["HTTP API, unknown id"] = lambda: http.get(f"{base_url}/status/none")
        measured = {}
        for name, call in calls.items():
            call()
            times = []
            for _ in range(FLOOR_CALLS):
                began = time.perf_counter()
                call()
                times.append(1000 * (time.perf_counter() - began))
            measured[name] = asdict(spread(times))
        return measured


@contextlib.contextmanager
def _resources(local: emulator.Emulator) -> Iterator[dict[str, Callable[[], Any]]]:
    """A queue, a table and a function of the bench's own; name of a call -> the call."""
    import boto3

    session = boto3.Session(
        aws_access_key_id=emulator.KEY, aws_secret_access_key=emulator.KEY, region_name=emulator.REGION
    )
    names = ("sqs", "dynamodb", "lambda", "iam")
    sqs, table, functions, iam = (session.client(name, endpoint_url=local.endpoint) for name in names)
    with contextlib.ExitStack() as cleanup:
        url = sqs.create_queue(QueueName=NAME)["QueueUrl"]
        cleanup.callback(sqs.delete_queue, QueueUrl=url)
        table.create_table(
            TableName=NAME,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "request_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "request_id", "AttributeType": "S"}],
        )
        cleanup.callback(table.delete_table, TableName=NAME)
        role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps({"Statement": []}))["Role"]["Arn"]
        cleanup.callback(iam.delete_role, RoleName=NAME)
        functions.create_function(
            FunctionName=NAME,
            Runtime="python3.13",
            Role=role,
            Handler="floor.handler",
            Code={"ZipFile": _zip("floor.py", "def handler(event, context):\n    return {}\n")},
        )
        cleanup.callback(functions.delete_function, FunctionName=NAME)
        item = {"request_id": {"S": "floor"}, "status": {"S": "pending"}}
        yield {
            "SQS SendMessage": lambda: sqs.send_message(QueueUrl=url, MessageBody="{}"),
            "DynamoDB PutItem": lambda: table.put_item(TableName=NAME, Item=item),
            "DynamoDB GetItem": lambda: table.get_item(TableName=NAME, Key={"request_id": item["request_id"]}),
            "Lambda Invoke, empty function": lambda: functions.invoke(FunctionName=NAME),
        }


def _zip(name: str, code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, code)
    return buffer.getvalue()
