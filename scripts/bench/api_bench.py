"""Part 3: cold start and warm cost of the api function, against the reference document's handler.

Both run under awslambdaric and call the same fake AWS. A sample has as many submits as status queries.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from scripts import stack_defaults
from scripts.bench import traffic
from scripts.bench.cold_bench import summary
from scripts.bench.contestants import reference_environment
from scripts.bench.functions import Function, Start, answer, running, start_cold
from scripts.bench.packages import Packages
from scripts.bench.plan import Plan, rotated
from scripts.bench.processes import FakeAws, Process
from scripts.bench.runtime_api import RuntimeApi
from scripts.bench.stats import spread
from scripts.bench.traffic import MODEL
from scripts.console import CommandError

REAL, URLLIB3, REFERENCE = "api", "api with urllib3", "reference"
MEMORY_MB = int(stack_defaults.defaults("api")["memory_mb"])
REFERENCE_MEMORY_MB = 256  # the document's
WARM_UP = 20
Say = Callable[[str], None]


def measure(plan: Plan, packages: Packages, fake_aws: FakeAws, say: Say) -> dict[str, Any]:
    """Returns what goes into results.json under `api`."""
    functions = [
        Function(name, folder, "api.handler", api_environment(fake_aws), MEMORY_MB)
        for name, folder in ((REAL, packages.api), (URLLIB3, packages.api_urllib3))
    ]
    if packages.reference is not None and packages.artifact is not None:
        environment = reference_environment(fake_aws, packages.artifact)
        handler = "reference_enqueue.handler"
        functions.append(Function(REFERENCE, packages.reference, handler, environment, REFERENCE_MEMORY_MB))
    starts: dict[str, list[Start]] = {function.name: [] for function in functions}
    for turn in range(plan.cold_rounds + 1):
        say(f"api: cold start, round {turn} of {plan.cold_rounds}" if turn else "api: filling the page cache")
        for function in rotated(functions, turn):
            start = start_cold(function, traffic.submit_event(traffic.texts(1, seed=turn)[0]))
            if turn:
                starts[function.name].append(start)
    warm = _warm(functions, plan, fake_aws, say)
    lines = [{"name": function.name, **summary(starts[function.name]), **warm[function.name]} for function in functions]
    return {"contestants": lines}


def api_environment(fake_aws: FakeAws) -> dict[str, str]:
    """The settings of the api function, as Terraform gives them."""
    return (
        fake_aws.lambda_environment
        | stack_defaults.api_environment()
        | {
            "REQUEST_TABLE": "bench-requests",
            "MODELS": json.dumps({MODEL: MODEL}),
            "DEFAULT_MODEL": MODEL,
            "AWS_LAMBDA_FUNCTION_NAME": "bench-api",
            "QUEUE_URL_PREFIX": fake_aws.queue_url("bench-"),
        }
    )


def _warm(functions: list[Function], plan: Plan, fake_aws: FakeAws, say: Say) -> dict[str, dict[str, Any]]:
    kinds = ("submit", "status")
    cpu_ms: dict[tuple[str, str], list[float]] = {(f.name, kind): [] for f in functions for kind in kinds}
    each: dict[str, dict[str, float]] = {f.name: {} for f in functions}  # what an invocation of a kind calls and logs
    samples: dict[str, Any] = {f.name: {} for f in functions}
    with contextlib.ExitStack() as stack:
        warm = {function.name: (function, *stack.enter_context(running(function))) for function in functions}
        for turn in range(plan.rounds + 1):
            say(f"api: warm, round {turn} of {plan.rounds}" if turn else "api: warming up")
            for name, (function, process, api) in rotated(list(warm.items()), turn):
                count = plan.api_requests if turn else WARM_UP
                request_id = _submit_one(function, process, api)
                submits = [traffic.submit_event(text) for text in traffic.texts(count, seed=turn)]
                for kind, events in (("submit", submits), ("status", [traffic.status_event(request_id)] * count)):
                    fake_aws.reset()
                    printed, began = process.printed_bytes, process.cpu_seconds
                    for event in events:
                        answer(function, process, api, event)
                    if turn:
                        cpu_ms[name, kind].append(1000 * (process.cpu_seconds - began) / count)
                    counts = fake_aws.counts()
                    each[name][f"{kind}_calls"] = sum(counts["calls"].values()) / count
                    each[name][f"{kind}_log_bytes"] = (process.printed_bytes - printed) / count
                    samples[name] |= counts["samples"]
    return {
        name: {
            **{f"{kind}_cpu_ms": asdict(spread(cpu_ms[name, kind])) for kind in kinds},
            "per_second_and_core": 1000 / _mean_of_medians(cpu_ms, name, kinds),
            **each[name],
            "calls": samples[name],
        }
        for name in warm
    }


def _submit_one(function: Function, process: Process, api: RuntimeApi) -> str:
    """A request whose status can be asked for."""
    event = traffic.submit_event(traffic.texts(1, seed=0)[0])
    reply = api.invoke(event, 30).payload
    if reply["statusCode"] != 202:
        raise CommandError(f"{function.name} answered {reply}; {process.last_error}")
    return str(json.loads(reply["body"])["request_id"])


def _mean_of_medians(cpu_ms: dict[tuple[str, str], list[float]], name: str, kinds: tuple[str, ...]) -> float:
    return sum(spread(cpu_ms[name, kind]).median for kind in kinds) / len(kinds)
