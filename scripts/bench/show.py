"""The targets of a run, each with its limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.bench.cost_bench import FULL, WAITING

REFERENCE = "reference"
QUICKEST = "onnx"
BATCH = 10
COST_MEMORY_MB = 512
GROWTH = 0.10
PEERS = ("Celery + Redis", "Mosec", "LitServe", "BentoML")
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """One target; `value` and `passed` are None if the run did not measure it."""

    promise: str
    limit: float
    value: float | None

    @property
    def passed(self) -> bool | None:
        """Whether it is kept."""
        return None if self.value is None else self.value <= self.limit


def targets(results: Mapping[str, Any]) -> list[Target]:
    """All promises, in the order of the issue that made them."""
    return list(_targets(results))


def _targets(results: Mapping[str, Any]) -> Iterator[Target]:
    worker, cold, api = (results.get(part, {}) for part in ("worker", "cold", "api"))
    runtime = worker.get("default_runtime", QUICKEST)
    ours, theirs = _line(worker, runtime, BATCH), _line(worker, REFERENCE, 1)
    name = f"worker, {runtime}, batch {BATCH}"
    yield Target(f"{name}: CPU per request / reference worker's", 0.150, _ratio(ours, theirs, _median("cpu_ms")))
    ours, theirs = _line(cold, QUICKEST), _line(cold, REFERENCE)
    name = f"worker, {QUICKEST}"
    yield Target(
        f"{name}: start to first result / reference's", 1 / 5, _ratio(ours, theirs, _median("first_result_ms"))
    )
    yield Target(f"{name}: memory after INIT / reference's", 1 / 3, _ratio(ours, theirs, _median("init_memory_mb")))
    ours, theirs = _line(api, "api"), _line(api, REFERENCE)
    yield Target("api: start to first answer / reference's", 0.30, _ratio(ours, theirs, _median("first_result_ms")))
    wire = _line(api, "api with urllib3")
    yield Target("api: start to first answer / with urllib3", 0.85, _ratio(ours, wire, _median("first_result_ms")))
    yield Target("api: warm CPU per invocation / reference's", 1 / 2, _ratio(ours, theirs, _warm))
    ours = _line(worker, runtime, BATCH)
    calls = None if ours is None else ours["calls_per_request"]
    yield Target(f"worker, batch {BATCH}: AWS calls per request", 0.4, calls)
    systems = results.get("cost", {}).get("systems", {})
    for name, limit in ((FULL, 0.97), (WAITING, 0.80)):
        ratio = _ratio(systems.get(name), systems.get(REFERENCE), _dollars)
        yield Target(f"{name}: dollars a million at {COST_MEMORY_MB} MB / reference's", limit, ratio)
    growth = worker.get("growth")
    many = f"{growth['windows'][-1]['requests']:,}" if growth else "very many"
    for what, key in (
        ("CPU per request / a new one's", "cpu_old_to_new"),
        ("memory, end / start", "memory_end_to_start"),
    ):
        promise = f"worker, {many} requests in one process: {what}"
        yield Target(promise, 1 + GROWTH, growth.get(key) if growth else None)
    yield from _encoder_targets(results.get("encoder", {}))
    if "growth" in results:  # minutes of Terraform, which not every run has
        yield from _growth_targets(results["growth"])


def _growth_targets(growth: Mapping[str, Any]) -> Iterator[Target]:
    starts = {line["models"]: line for line in growth.get("starts", ())}
    most = max(starts, default=0)
    ratio = _ratio(starts.get(most), starts.get(1), _median("first_result_ms"))
    yield Target(f"api: start to first answer, {most or 'many'} models / one", 1.25, ratio)
    batches = {line["items"]: line for line in growth.get("batches", ())}
    largest = max(batches, default=10_000)
    tenth = largest // 10  # several pages, too: one alone varies
    for what, key in (("creating", "create_cpu_ms"), ("reading the results of", "results_cpu_ms")):
        ratio = _ratio(batches.get(largest), batches.get(tenth), _per_item(key))
        yield Target(f"batch: CPU for {what} an item, of {largest:,} / of {tenth:,}", 1.25, ratio)


def _per_item(key: str) -> Callable[[Line], float]:
    return lambda line: float(line[key] / line["items"])


def _encoder_targets(part: Mapping[str, Any]) -> Iterator[Target]:
    theirs, cold = _line(part, REFERENCE), part.get("cold", {})
    for name, cpu, distance in (("fp32", 0.72, 0.0001), ("INT8", 0.47, 0.03)):
        ours, of = _line(part, name, BATCH), f"encoder, {name}"
        yield Target(f"{of}, batch {BATCH}: CPU per text / reference's", cpu, _ratio(ours, theirs, _median("cpu_ms")))
        agreement = part.get("agreement", {}).get(name)
        yield Target(f"{of}: 1 - least cosine", distance, agreement and 1 - agreement["least_cosine"])
        for what, key, limit in (("INIT", "init_ms", 0.20), ("memory after INIT", "init_memory_mb", 0.30)):
            started = _ratio(_line(cold, name), _line(cold, REFERENCE), _median(key))
            yield Target(f"{of}: {what} / reference's", limit, started)
        overhead = part.get("overhead", {}).get(name)
        promise = f"{of}, batch {BATCH}: our own CPU / tokenizer and session.run"
        yield Target(promise, 0.03, overhead and overhead["percent"]["median"] / 100)
    ours = _line(part, "fp32", BATCH)
    peers = [line for line in part.get("contestants", ()) if line["name"] in PEERS]
    best = min(peers, key=_median("cpu_ms"), default=None)
    ahead = _ratio(ours, best, _median("cpu_ms"))
    yield Target(f"encoder, fp32, batch {BATCH}: CPU per text / that of the best other server", 1.0, ahead)
    unsized = _line(part, "fp32, no size declared", BATCH)
    promise = f"encoder, no size declared, batch {BATCH}: CPU per text / with one"
    yield Target(promise, 1.10, _ratio(unsized, ours, _median("cpu_ms")))


def _line(part: Mapping[str, Any], name: str, batch: int | None = None) -> Line | None:
    for line in part.get("contestants", ()):
        if line["name"] == name and batch in (None, line.get("batch")):
            found: Line = line
            return found
    return None


def _median(key: str) -> Callable[[Line], float]:
    return lambda line: float(line[key]["median"])


def _dollars(system: Line) -> float:
    return float(system["per_million"][str(COST_MEMORY_MB)]["total"])


def _warm(line: Line) -> float:
    """A submit and a status query weigh the same."""
    return float(line["submit_cpu_ms"]["median"] + line["status_cpu_ms"]["median"])


def _ratio(ours: Line | None, theirs: Line | None, value: Callable[[Line], float]) -> float | None:
    if ours is None or theirs is None:
        return None
    return value(ours) / value(theirs)
