"""Part of `growth`: batches from one item to ten thousand, by the packaged api and batches functions and the fake AWS.

Each size has processes of its own. A file is uploaded, submitted and worked on; the status is asked for while all items
are open and when all are final; then all results are read, page by page. The sizes take turns.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts import stack_defaults
from scripts.bench import traffic
from scripts.bench.api_bench import MEMORY_MB, api_environment
from scripts.bench.functions import Function, running
from scripts.bench.plan import rotated
from scripts.bench.processes import FakeAws, Process
from scripts.bench.runtime_api import RuntimeApi
from scripts.bench.stats import quantile
from scripts.console import CommandError

BATCHES_MEMORY_MB = 512  # as in terraform/stack/batches.tf
INVOCATION_SECONDS = 900  # one invocation creates all items, whatever the size
ROUNDS = 3
POLLS = 9
PAGE = 100
RESULT = json.dumps({"label": "positive", "scores": {"negative": 0.01, "neutral": 0.09, "positive": 0.9}})
FILE_TYPE = "application/jsonl"
Say = Callable[[str], None]


class Called:
    """A function under the runtime client, and the CPU that its calls take."""

    def __init__(self, function: Function, process: Process, api: RuntimeApi) -> None:
        self._function = function
        self._api = api
        self.process = process

    def call(self, event: dict[str, Any]) -> tuple[Any, float]:
        """The answer and the CPU in ms. Raises CommandError for an answer that is an error."""
        began = self.process.cpu_seconds
        payload = self._api.invoke(event, INVOCATION_SECONDS).payload or {}
        cpu_ms = 1000 * (self.process.cpu_seconds - began)
        if payload.get("statusCode", 200) >= 400 or payload.get("batchItemFailures"):
            raise CommandError(f"{self._function.name} answered {payload}")
        return json.loads(payload["body"]) if "body" in payload else payload, cpu_ms


def measure(sizes: tuple[int, ...], folder: Path, fake_aws: FakeAws, say: Say) -> list[dict[str, float]]:
    """A line for each number of items; `folder` is that of the lambda package."""
    environment = api_environment(fake_aws) | stack_defaults.batches_environment()
    api = Function("api", folder, "api.handler", environment, MEMORY_MB)
    batches = Function("batches", folder, "batches.handler", environment, BATCHES_MEMORY_MB, INVOCATION_SECONDS)
    lines: dict[int, list[dict[str, float]]] = {items: [] for items in sizes}
    with contextlib.ExitStack() as stack:

        def started(function: Function) -> Called:
            return Called(function, *stack.enter_context(running(function)))

        functions = [(items, started(api), started(batches)) for items in sizes]
        for turn in range(ROUNDS):
            for items, called_api, called_batches in rotated(functions, turn):
                say(f"growth: a batch of {items:,}, round {turn + 1} of {ROUNDS}")
                lines[items].append(_batch(called_api, called_batches, fake_aws, items))
    return [
        {name: quantile([line[name] for line in of_size], 0.5) for name in of_size[0]} | {"items": items}
        for items, of_size in lines.items()
    ]


def _batch(api: Called, batches: Called, fake_aws: FakeAws, items: int) -> dict[str, float]:
    """CPU in ms, memory in MB."""
    _created(api, batches, fake_aws, 1)  # connects, and compiles what is compiled once
    batch_id, submit, creation = _created(api, batches, fake_aws, items)
    created_mb = batches.process.memory.peak
    polls = [api.call(traffic.page_event(batch_id))[1] for _ in range(POLLS)]
    fake_aws.finish(RESULT)
    counted = [api.call(traffic.page_event(batch_id)) for _ in range(POLLS)]
    if counted[-1][0]["counts"]["succeeded"] != items:
        raise CommandError(f"of {items} items {counted[-1][0]['counts']} are counted")
    results, pages, cursor = 0.0, 0, 0
    while cursor < items:
        page, cpu_ms = api.call(traffic.page_event(batch_id, f"cursor={cursor}&limit={PAGE}"))
        results, pages, cursor = results + cpu_ms, pages + 1, cursor + len(page["items"])
    return {
        "items": items,
        "submit_cpu_ms": submit,
        "create_cpu_ms": creation,
        "create_mb": created_mb,
        "open_status_cpu_ms": quantile(polls, 0.5),
        "final_status_cpu_ms": sum(cpu_ms for _, cpu_ms in counted),
        "result_pages": pages,
        "results_cpu_ms": results,
        "api_mb": api.process.memory.peak,
    }


def _created(api: Called, batches: Called, fake_aws: FakeAws, items: int) -> tuple[str, float, float]:
    """Submit a file, and have its items created: the batch's id, and the CPU of both in ms."""
    content = "".join(json.dumps({"text": text}) + "\n" for text in traffic.texts(items, seed=items)).encode()
    upload, _ = api.call(traffic.upload_event(FILE_TYPE, len(content)))
    fake_aws.put_object(upload["url"], content, FILE_TYPE)
    answer, submit = api.call(traffic.batch_event(upload["reference"]))
    batch_id = str(answer["batch_id"])
    _, creation = batches.call(traffic.sqs_event([json.dumps({"batch_id": batch_id})]))
    return batch_id, submit, creation
