"""Part 1: requests per second and CPU per request of the worker, and whether they stay so.

All contestants are up at the same time, pinned to one core; only one works at any moment. Every round visits each of
them once, in an order that turns, so that a slow minute of the machine is everybody's.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.bench import celery_bench, http_servers, traffic
from scripts.bench.contestants import (
    Contestant,
    Handler,
    Sample,
    driver,
    reference_environment,
    worker_environment,
)
from scripts.bench.cost import written_bytes
from scripts.bench.http_servers import MOSEC
from scripts.bench.packages import Packages
from scripts.bench.plan import Plan, rotated
from scripts.bench.processes import FakeAws, JsonProcess
from scripts.bench.stats import end_to_start, quantile, spread
from scripts.bench.traffic import MODEL, SENTIMENT
from scripts.console import CommandError

BATCHES = (1, 10, 25)
GROWTH_BATCH = 10
REFERENCE = "reference"
CHECKED_TEXTS = 50
TOLERANCE = 0.011  # of the confidence: an INT8 artifact may differ in the second digit
FEWEST, MOST = 50, 10_000
Say = Callable[[str], None]


def measure(plan: Plan, packages: Packages, fake_aws: FakeAws, say: Say) -> dict[str, Any]:
    """Measure all contestants; returns what goes into results.json under `worker`."""
    skipped = dict(packages.skipped)
    with contextlib.ExitStack() as stack:
        contestants: list[Contestant] = []
        for runtime, folder in packages.workers.items():
            with or_skip(skipped, runtime):
                process = stack.enter_context(_real(folder, fake_aws))
                contestants += [Handler(runtime, batch, process, fake_aws) for batch in BATCHES]
        if packages.reference is not None and packages.artifact is not None:
            environment = reference_environment(fake_aws, packages.artifact)
            process = stack.enter_context(driver("reference", packages.reference, environment))
            contestants.append(Handler(REFERENCE, 1, process, fake_aws))
        folder = packages.workers[packages.default]
        model = folder / "worker" / "models" / MODEL
        with or_skip(skipped, "celery"):
            contestants.append(stack.enter_context(celery_bench.running(folder, model, SENTIMENT)))
        with or_skip(skipped, "mosec"):
            contestants.append(stack.enter_context(http_servers.running(MOSEC, folder, model, SENTIMENT)))
        disagreement = _disagreement(contestants)
        samples = _rounds(contestants, plan, say)
        lines = [line_of(contestant, taken) for contestant, taken in zip(contestants, samples, strict=True)]
    return {
        "default_runtime": packages.default,
        "contestants": lines,
        "largest_disagreement": disagreement,
        "skipped": skipped,
        "growth": _growth(plan, packages.workers[packages.default], fake_aws, say),
    }


@contextlib.contextmanager
def or_skip(skipped: dict[str, str], name: str) -> Iterator[None]:
    """Note in `skipped` why a contestant can't run, and go on without it."""
    try:
        yield
    except CommandError as failure:
        skipped[name] = str(failure)


def _disagreement(contestants: Sequence[Contestant]) -> float:
    """The largest difference between two contestants' confidences: they must do the same work.

    Raises:
        CommandError: they do not.
    """
    texts = traffic.texts(CHECKED_TEXTS, seed=1)
    answers = {contestant.name: contestant.predict(texts) for contestant in contestants}
    first, *others = answers.items()
    largest = 0.0
    for name, said in others:
        for text, mine, theirs in zip(texts, first[1], said, strict=True):
            difference = abs(float(mine["confidence"]) - float(theirs["confidence"]))
            largest = max(largest, difference)
            if difference > TOLERANCE:
                raise CommandError(f"{first[0]} and {name} differ on '{text[:60]}': {mine} and {theirs}")
    return largest


def _rounds(contestants: Sequence[Contestant], plan: Plan, say: Say) -> list[list[Sample]]:
    seeds = itertools.count(1000)
    sizes = [_size(contestant, plan, next(seeds)) for contestant in contestants]
    samples: list[list[Sample]] = [[] for _ in contestants]
    for turn in range(plan.rounds):
        say(f"worker: round {turn + 1} of {plan.rounds}")
        for index in rotated(range(len(contestants)), turn):
            samples[index].append(contestants[index].run(sizes[index], next(seeds)))
    return samples


def _size(contestant: Contestant, plan: Plan, seed: int) -> int:
    """So many requests make a sample of about the wanted length; finding it out is also the warm-up."""
    contestant.run(FEWEST, seed)
    rate = FEWEST * 2 / contestant.run(FEWEST * 2, seed + 500_000).seconds
    requests = min(max(int(rate * plan.sample_seconds), FEWEST), MOST)
    return requests - requests % FEWEST


def line_of(contestant: Contestant, samples: Sequence[Sample]) -> dict[str, Any]:
    """A line of the table: what a request takes."""
    requests = sum(sample.requests for sample in samples)
    memory = contestant.memory()
    last = samples[-1]
    return {
        "name": contestant.name,
        "batch": contestant.batch,
        "cpu_ms": asdict(spread([1000 * sample.cpu_seconds / sample.requests for sample in samples])),
        "ms": asdict(spread([1000 * sample.seconds / sample.requests for sample in samples])),
        "per_second": asdict(spread([sample.requests / sample.seconds for sample in samples])),
        "requests_per_sample": samples[0].requests,
        "calls_per_request": sum(sum(sample.calls.values()) for sample in samples) / requests,
        "calls_by_target": {target: count / last.requests for target, count in last.calls.items()},
        "written_bytes": written_bytes(last.bodies),
        "log_bytes_per_request": sum(sample.log_bytes for sample in samples) / requests,
        "memory_mb": memory.now,
        "peak_mb": memory.peak,
    }


def _growth(plan: Plan, folder: Path, fake_aws: FakeAws, say: Say) -> dict[str, Any]:
    """CPU per request and memory of one process over very many requests, window by window.

    The last tenth is done in turns with a new process, so that both have the same minutes of the machine.
    """
    count = plan.growth_requests // plan.growth_window
    in_turns = max(1, count // 10)
    windows, news = [], []
    with contextlib.ExitStack() as stack:
        old = Handler("growth", GROWTH_BATCH, stack.enter_context(_real(folder, fake_aws)), fake_aws)
        new = None
        for number in range(count):
            seed = 2_000_000 + number * plan.growth_window
            if number % 10 == 0:
                say(f"worker: growth, {number * plan.growth_window:,} of {plan.growth_requests:,} requests")
            if number == count - in_turns:
                new = Handler("new", GROWTH_BATCH, stack.enter_context(_real(folder, fake_aws)), fake_aws)
                new.run(plan.growth_window, seed)  # fills caches, and is not what comes after it
            windows.append(
                {
                    "requests": (number + 1) * plan.growth_window,
                    "cpu_ms": _cpu_ms(old.run(plan.growth_window, seed)),
                    "memory_mb": old.memory().now,
                }
            )
            if new is not None:
                news.append(_cpu_ms(new.run(plan.growth_window, seed)))
    olds = [window["cpu_ms"] for window in windows[-in_turns:]]
    return {
        "windows": windows,
        "new_cpu_ms": news,
        "cpu_old_to_new": quantile(olds, 0.5) / quantile(news, 0.5),
        "memory_end_to_start": end_to_start([window["memory_mb"] for window in windows[1:]]),
    }


def _real(folder: Path, fake_aws: FakeAws) -> contextlib.AbstractContextManager[JsonProcess]:
    return driver("real", folder, worker_environment(fake_aws))


def _cpu_ms(sample: Sample) -> float:
    return 1000 * sample.cpu_seconds / sample.requests
