"""Part 2: process start to first result of the worker, with each runtime, against the reference worker.

Everything is in the page cache: a first start from a cold disk reads 85 MB (ONNX Runtime) or 290 MB (torch) on top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from scripts.bench import traffic
from scripts.bench.contestants import reference_environment, worker_environment
from scripts.bench.functions import Function, Start, start_cold
from scripts.bench.packages import Packages
from scripts.bench.plan import Plan, rotated
from scripts.bench.processes import FakeAws
from scripts.bench.stats import spread
from scripts.console import CommandError

REFERENCE = "reference"
Say = Callable[[str], None]


def measure(plan: Plan, packages: Packages, fake_aws: FakeAws, say: Say) -> dict[str, Any]:
    """Start every contestant again in each round; returns the part `cold` of results.json."""
    functions = [
        Function(runtime, folder, "worker.handler.handler", worker_environment(fake_aws))
        for runtime, folder in packages.workers.items()
    ]
    if packages.reference is not None and packages.artifact is not None:
        environment = reference_environment(fake_aws, packages.artifact)
        functions.append(Function(REFERENCE, packages.reference, "reference_worker.handler", environment))
    skipped = dict(packages.skipped)

    def event(function: Function, turn: int) -> dict[str, Any]:
        body = traffic.reference_body if function.name == REFERENCE else traffic.message_body
        return traffic.sqs_event([body(traffic.texts(1, seed=turn)[0])])

    starts = measured_starts("cold", functions, event, plan.cold_rounds, say, skipped)
    lines = [{"name": name, **summary(taken)} for name, taken in starts.items() if taken]
    return {"default_runtime": packages.default, "contestants": lines, "skipped": skipped}


def measured_starts(
    part: str,
    functions: Sequence[Function],
    event: Callable[[Function, int], Mapping[str, Any]],
    rounds: int,
    say: Say,
    skipped: dict[str, str],
) -> dict[str, list[Start]]:
    """Start every function again in each round, with the event of that round; `skipped` notes those that can't."""
    starts: dict[str, list[Start]] = {function.name: [] for function in functions}
    for turn in range(rounds + 1):  # the first fills the page cache and does not count
        say(f"{part}: cold start, round {turn} of {rounds}" if turn else f"{part}: filling the page cache")
        for function in rotated(functions, turn):
            if function.name in skipped:
                continue
            try:
                start = start_cold(function, event(function, turn))
            except CommandError as failure:
                skipped[function.name] = str(failure)
                continue
            if turn:
                starts[function.name].append(start)
    return starts


def summary(starts: Sequence[Start]) -> dict[str, Any]:
    """Each field of the starts as median and quartiles."""
    fields = asdict(starts[0])
    return {name: asdict(spread([getattr(start, name) for start in starts])) for name in fields}
