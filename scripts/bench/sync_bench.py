"""Part 4: the synchronous function beside the reference document's own app, both under the real runtime client.

Cold: process start to the first answer. Warm: all contestants are up at the same time, pinned to one core; every round
visits each of them, in an order that turns, with single inputs and with batches of ten.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts import stack_defaults
from scripts.bench import traffic
from scripts.bench.cold_bench import measured_starts, summary
from scripts.bench.functions import Function, answer, running
from scripts.bench.packages import LARGEST_BATCH, WORK, Packages, unpack
from scripts.bench.plan import Plan, rotated
from scripts.bench.processes import Process
from scripts.bench.runtime_api import RuntimeApi
from scripts.bench.stats import spread
from scripts.bench.traffic import MODEL
from scripts.packaging import package
from scripts.packaging.targets import LAMBDA_SYNC

REFERENCE = "reference"
BATCH = 10
RUNTIMES = ("onnx", "torchscript")
Say = Callable[[str], None]


def measure(plan: Plan, packages: Packages, say: Say) -> dict[str, Any]:
    """Measure; returns the part `sync` of results.json."""
    functions = _functions(packages)
    skipped = dict(packages.skipped)

    def event(function: Function, turn: int) -> dict[str, Any]:
        return _event(function, traffic.texts(1, seed=turn))

    starts = measured_starts("sync", functions, event, plan.cold_rounds, say, skipped)
    warm = _warm([function for function in functions if function.name not in skipped], plan, say)
    lines = [{"name": name, **summary(taken), **warm[name]} for name, taken in starts.items() if taken]
    return {"contestants": lines, "skipped": skipped}


def _functions(packages: Packages) -> list[Function]:
    requests = stack_defaults.defaults("requests")
    settings = {
        "MODELS": json.dumps({MODEL: MODEL}),
        "LOG_LEVEL": "INFO",
        "MAX_BODY_BYTES": str(requests["max_body_bytes"]),
        "MAX_BODY_DEPTH": str(requests["max_body_depth"]),
        "MAX_BATCH_ITEMS": str(LARGEST_BATCH),
    }
    found = []
    for runtime in RUNTIMES:
        if runtime in packages.workers:
            built = package.build(
                WORK / "packages" / f"sync-{runtime}", [WORK / "models" / runtime], [MODEL], rooms=LAMBDA_SYNC.rooms
            )
            folder = unpack(built.workers[MODEL], WORK / "workers" / f"sync-{runtime}")
            found.append(Function(runtime, folder, "worker.sync.handler.handler", settings))
    if packages.reference is not None and packages.artifact is not None:
        shutil.copy(Path(__file__).with_name("reference_app.py"), packages.reference)
        environment = {"MODEL_PATH": str(packages.artifact)}
        found.append(Function(REFERENCE, packages.reference, "reference_app.lambda_handler", environment))
    return found


def _event(function: Function, texts: Sequence[str]) -> dict[str, Any]:
    """A call with one text, or with a batch of several."""
    items = [{"text": text} for text in texts]
    kind, body = ("predict", items[0]) if len(items) == 1 else ("batch", {"items": items})
    path = f"/{kind}" if function.name == REFERENCE else f"/models/{MODEL}/{kind}"
    http = {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"}
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "bench.example.com"},
        "requestContext": {"http": http, "stage": "$default", "domainName": "bench.example.com", "requestId": "bench"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def _warm(functions: Sequence[Function], plan: Plan, say: Say) -> dict[str, dict[str, Any]]:
    samples: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        up = [(function, *stack.enter_context(running(function))) for function in functions]
        for turn in range(plan.rounds + 1):  # the first loads and fills caches
            say(f"sync: warm round {turn} of {plan.rounds}")
            for function, process, api in rotated(up, turn):
                for kind, size in (("predict", 1), ("batch", BATCH)):
                    calls = max(plan.api_requests // (2 * size), 5)
                    cpu_ms, ms = _sample(function, process, api, calls, size, seed=turn)
                    if turn:
                        kept = samples.setdefault(function.name, {})
                        kept.setdefault(f"{kind}_cpu_ms", []).append(cpu_ms)
                        kept.setdefault(f"{kind}_ms", []).append(ms)
    return {name: {key: asdict(spread(values)) for key, values in taken.items()} for name, taken in samples.items()}


def _sample(
    function: Function, process: Process, api: RuntimeApi, calls: int, size: int, seed: int
) -> tuple[float, float]:
    """CPU and clock time of a call, in ms."""
    texts = traffic.texts(calls * size, seed=1_000 + seed)
    events = [_event(function, texts[start : start + size]) for start in range(0, len(texts), size)]
    cpu, began = process.cpu_seconds, time.perf_counter()
    for event in events:
        answer(function, process, api, event)
    seconds, cpu_seconds = time.perf_counter() - began, process.cpu_seconds - cpu
    return 1000 * cpu_seconds / calls, 1000 * seconds / calls
