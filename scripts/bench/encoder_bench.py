"""The part `encoder`: a sentence encoder, whose forward pass is nearly all of the work. Our worker beside the reference
worker, other servers, and the floor under all of them.

All contestants of a round get the same texts, since lengths differ much; every round has others. The contestants are up
at the same time, pinned to one core; only one works at any moment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from scripts.bench import celery_bench, encoder_model, http_servers, traffic
from scripts.bench.agreement import agreement
from scripts.bench.cold_bench import measured_starts, summary
from scripts.bench.contestants import Contestant, Handler, Sample, driver, reference_environment, worker_environment
from scripts.bench.encoder_model import CHECKED_SEED, CHECKED_TEXTS, NAME, Exported
from scripts.bench.functions import Function
from scripts.bench.plan import Plan, rotated
from scripts.bench.processes import FakeAws, JsonProcess, Memory
from scripts.bench.stats import quantile, spread
from scripts.bench.traffic import ENCODER
from scripts.bench.worker_bench import BATCHES, line_of, or_skip
from scripts.console import CommandError

FP32, INT8, UNSIZED, REFERENCE, FLOOR = "fp32", "INT8", "fp32, no size declared", "reference", "floor"
LABELS = {FP32: "onnx", INT8: "onnx-int8"}
BATCH = 10
PEER_TEXTS = 20  # that the other servers are compared on
LEAST_COSINE = 0.999  # of a contestant with the same weights
Say = Callable[[str], None]


class Floor:
    """The bare work of a worker's model, in the process of that worker (see `floor`); a `Contestant`."""

    batch = BATCH

    def __init__(self, name: str, process: JsonProcess) -> None:
        self.name = name
        self._process = process

    def run(self, requests: int, seed: int) -> Sample:
        taken = self._process.request({"floor": True, "requests": requests, "batch": self.batch, "seed": seed})
        return Sample(requests, taken["seconds"], taken["cpu_seconds"])

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        raise NotImplementedError("it answers nothing")

    def memory(self) -> Memory:
        return self._process.memory


def measure(plan: Plan, fake_aws: FakeAws, say: Say) -> dict[str, Any]:
    """Returns what goes into results.json under `encoder`.

    Raises:
        CommandError: the model can't be had or exported.
    """
    exported = encoder_model.export(say)
    packages = {name: encoder_model.worker_package(exported, label) for name, label in LABELS.items()}
    packages[UNSIZED] = encoder_model.worker_package(exported, LABELS[FP32], sized=False)
    skipped: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        contestants = list(_contestants(stack, exported, packages, fake_aws, skipped))
        agreements = _agreements(contestants, np.load(exported.files / encoder_model.EAGER))
        samples = _rounds(contestants, plan, say, skipped)
        taken = [(contestant, samples[_key(contestant)]) for contestant in contestants]
        lines = [line_of(contestant, found) for contestant, found in taken if found]
        overhead = {
            contestant.name: _overhead(contestant, plan, say)
            for contestant in contestants
            if isinstance(contestant, Handler) and contestant.name in LABELS and contestant.batch == BATCH
        }
    return {
        "texts": text_lengths(plan),
        "contestants": lines,
        "agreement": agreements,
        "overhead": overhead,
        "cold": {"contestants": _cold(exported, packages, plan, fake_aws, say, skipped)},
        "skipped": skipped,
    }


def floor_of(name: str) -> str:
    """The name of the floor under a contestant of ours."""
    return f"{FLOOR}, {name}"


def overhead_of(taken: Sequence[Mapping[str, Any]], texts: int) -> dict[str, Any]:
    """What our worker takes beyond its floor, from several samples of so many texts.

    Returns:
        percent: of the floor's CPU, the spread of the samples.
        sections_ms: CPU ms of a text by what it went into, the median of the samples.
    """
    shares = [100 * (one["cpu_seconds"] / one["floor_cpu_seconds"] - 1) for one in taken]
    names = dict.fromkeys(name for one in taken for name in one["sections"])
    return {
        "percent": asdict(spread(shares)),
        "sections_ms": {
            name: 1000 * quantile([one["sections"].get(name, 0.0) for one in taken], 0.5) / texts for name in names
        },
    }


def text_lengths(plan: Plan) -> dict[str, float]:
    """Of the texts of the first round, in words."""
    words = [len(text.split()) for text in ENCODER.texts(plan.encoder_texts, _seed(0))]
    return {"median": quantile(words, 0.5), "p90": quantile(words, 0.9), "longest": max(words)}


def _contestants(
    stack: contextlib.ExitStack,
    exported: Exported,
    packages: dict[str, Path],
    fake_aws: FakeAws,
    skipped: dict[str, str],
) -> Iterator[Contestant]:
    for name, folder in packages.items():
        process = stack.enter_context(driver("real", folder, worker_environment(fake_aws, NAME), ENCODER))
        for batch in BATCHES:
            if name != UNSIZED or batch > 1:  # alone, a text is in no group
                yield Handler(name, batch, process, fake_aws)
            if name != UNSIZED and batch == BATCH:
                yield Floor(floor_of(name), process)
    folder, artifact = encoder_model.reference_package(exported)
    process = stack.enter_context(driver("reference", folder, _reference(fake_aws, artifact, exported), ENCODER))
    yield Handler(REFERENCE, 1, process, fake_aws)
    folder = packages[FP32]
    model = encoder_model.model_in(folder)
    with or_skip(skipped, "Celery + Redis"):
        yield stack.enter_context(celery_bench.running(folder, model, ENCODER))
    for kind, batch in (
        (http_servers.MOSEC, 1),
        (http_servers.MOSEC, BATCH),
        (http_servers.LITSERVE, BATCH),
        (http_servers.BENTOML, BATCH),
    ):
        with or_skip(skipped, f"{kind.name}, batch {batch}"):
            yield stack.enter_context(http_servers.running(kind, folder, model, ENCODER, batch))


def _reference(fake_aws: FakeAws, artifact: Path, exported: Exported) -> dict[str, str]:
    return reference_environment(fake_aws, artifact, NAME) | {"PYTHONPATH": str(exported.libraries)}


def _agreements(contestants: Sequence[Contestant], eager: np.ndarray) -> dict[str, dict[str, float]]:
    """How near each contestant's vectors are to the module's own.

    Raises:
        CommandError: those of a contestant with the same weights are not near.
    """
    texts = ENCODER.texts(CHECKED_TEXTS, CHECKED_SEED)
    found = {}
    for contestant in contestants:
        if isinstance(contestant, Floor) or contestant.name in found:
            continue
        asked = texts if isinstance(contestant, Handler) else texts[:PEER_TEXTS]
        batches = [asked[start : start + BATCH] for start in range(0, len(asked), BATCH)]
        vectors = np.array([answer["embedding"] for batch in batches for answer in contestant.predict(batch)])
        found[contestant.name] = agreement(vectors, eager[: len(asked)])
        if contestant.name != INT8 and found[contestant.name]["least_cosine"] < LEAST_COSINE:
            raise CommandError(f"the vectors of {contestant.name} are not the module's: {found[contestant.name]}")
    return found


def _key(contestant: Contestant) -> tuple[str, int]:
    return contestant.name, contestant.batch


def _rounds(
    contestants: Sequence[Contestant], plan: Plan, say: Say, skipped: dict[str, str]
) -> dict[tuple[str, int], list[Sample]]:
    """The samples of each contestant; none of another server that fails, which `skipped` notes."""
    samples: dict[tuple[str, int], list[Sample]] = {_key(contestant): [] for contestant in contestants}
    left = list(contestants)
    for turn in range(-1, plan.encoder_rounds):  # the first warms up
        say(f"encoder: round {turn + 1} of {plan.encoder_rounds}" if turn >= 0 else "encoder: warming up")
        for contestant in rotated(left, max(turn, 0)):
            try:
                sample = contestant.run(plan.encoder_texts, _seed(turn))
            except CommandError as failure:
                if isinstance(contestant, Handler | Floor):
                    raise
                skipped[f"{contestant.name}, batch {contestant.batch}"] = str(failure)
                samples[_key(contestant)].clear()
                left.remove(contestant)
                continue
            if turn >= 0:
                samples[_key(contestant)].append(sample)
    return samples


def _seed(turn: int) -> int:
    return 1_000 + turn


def _overhead(contestant: Handler, plan: Plan, say: Say) -> dict[str, Any]:
    say(f"encoder: overhead of {contestant.name}")
    taken = [contestant.overhead(plan.encoder_texts, _seed(turn)) for turn in range(plan.encoder_rounds)]
    return overhead_of(taken, plan.encoder_texts)


def _cold(
    exported: Exported,
    packages: dict[str, Path],
    plan: Plan,
    fake_aws: FakeAws,
    say: Say,
    skipped: dict[str, str],
) -> list[dict[str, Any]]:
    functions = [
        Function(name, packages[name], "worker.handler.handler", worker_environment(fake_aws, NAME)) for name in LABELS
    ]
    folder, artifact = encoder_model.reference_package(exported)
    environment = _reference(fake_aws, artifact, exported)
    functions.append(Function(REFERENCE, folder, "reference_worker.handler", environment))

    def event(function: Function, turn: int) -> dict[str, Any]:
        text = ENCODER.texts(1, turn)[0]
        ours = traffic.message_body(text, NAME)
        return traffic.sqs_event([traffic.reference_body(text) if function.name == REFERENCE else ours])

    starts = measured_starts("encoder", functions, event, plan.encoder_cold_rounds, say, skipped)
    return [{"name": name, **summary(taken)} for name, taken in starts.items() if taken]
