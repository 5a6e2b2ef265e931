"""What a place needs: the settings of the stack, as HCL that `terraform fmt` leaves as it is, and its cost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.choose.costs import LEAST_MEMORY_MB, Costs, maximum_concurrency
from scripts.choose.needs import Needs
from scripts.choose.rules import MOST_RUN_SECONDS, SYNC_SECONDS
from scripts.stack_defaults import defaults

Settings = Mapping[str, Any]

POOL = "experiments"
TOKEN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:{kind}-token"
"""Stands for a secret of yours."""

LINE = 88
"""Above it an object has a line for each of its settings."""

ENDPOINTS: dict[str, Settings] = {
    "runpod": {"endpoint": "your-endpoint-id"},
    "replicate": {"endpoint": "you/your-model"},
    "modal": {"url": "https://you--your-app.modal.run"},
    "beam": {"url": "https://your-app.app.beam.cloud"},
    "cog": {"url": "https://your-machine.example.com"},
}
"""Where a backend is: to be replaced by yours."""

TIMEOUT_FACTOR = 1.5
"""A timeout over the longest run: recording that a run hangs takes time, too."""

LEAST_TIMEOUT_SECONDS = 10
MOST_BATCH = 10

LEAST_DISK_MB, MOST_DISK_MB = 512, 10_240
DISK_FACTOR = 2
"""/tmp over the largest input: one batch's file may still be there when the next comes."""


@dataclass(frozen=True)
class Entry:
    """How a place is set up.

    Attributes:
        settings: of the stack, by argument: `models`, and what goes with it. Empty: the stack is not used.
        dollars: a month.
        notes: what is to be done or known beside it, a sentence each.
    """

    settings: Settings
    dollars: float
    notes: tuple[str, ...] = field(default=())


def entry(place: str, costs: Costs) -> Entry:
    """The settings of a place for these needs, and its cost.

    Raises:
        KeyError: there is no such place.
    """
    return _MAKE[place](costs)


def hcl(settings: Settings) -> str:
    """Arguments of a module's call as HCL, formatted as by `terraform fmt`."""
    return "\n".join(_arguments(settings, ""))


def _arguments(values: Settings, indent: str) -> Iterator[str]:
    """Equal signs are aligned within lines that follow each other without an object of several lines between them."""
    group: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and _is_long(name, value, indent):
            yield from _aligned(group, indent)
            group = []
            yield f"{indent}{name} = {{"
            yield from _arguments(value, indent + "  ")
            yield f"{indent}}}"
        else:
            group.append((name, _value(value)))
    yield from _aligned(group, indent)


def _is_long(name: str, value: Settings, indent: str) -> bool:
    """Whether an object needs lines of its own."""
    holds = any(isinstance(inner, Mapping) for inner in value.values())
    return holds or len(f"{indent}{name} = {_value(value)}") > LINE


def _aligned(group: list[tuple[str, str]], indent: str) -> Iterator[str]:
    width = max((len(name) for name, _ in group), default=0)
    for name, value in group:
        yield f"{indent}{name.ljust(width)} = {value}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_value(inner)}' for name, inner in value.items())} }}" if value else "{}"
    return json.dumps(value)


def _names(needs: Needs) -> list[str]:
    return [needs.name] if needs.models == 1 else [f"{needs.name}-{number}" for number in range(needs.models)]


def _worker(needs: Needs) -> dict[str, Any]:
    """Settings of a worker, of a model or of a pool."""
    batch = min(MOST_BATCH, max(1, int(MOST_RUN_SECONDS / (needs.longest * TIMEOUT_FACTOR))))
    timeout = math.ceil(round(needs.longest * TIMEOUT_FACTOR * batch, 6))
    settings: dict[str, Any] = {
        "memory_mb": max(LEAST_MEMORY_MB, math.ceil(needs.memory_mb)),
        "timeout_seconds": min(int(MOST_RUN_SECONDS), max(LEAST_TIMEOUT_SECONDS, timeout)),
        "batch_size": batch,
        "maximum_concurrency": maximum_concurrency(needs),
    }
    disk = min(MOST_DISK_MB, math.ceil(needs.input_mb * DISK_FACTOR))
    if disk > LEAST_DISK_MB:
        settings["ephemeral_storage_mb"] = disk
    return settings


def _uploads(needs: Needs) -> dict[str, Any]:
    """The stack's limit of an upload, where the default is less than the largest input."""
    needed = math.ceil(needs.input_mb * 1e6)
    return {"requests": {"max_upload_bytes": needed}} if needed > defaults("requests")["max_upload_bytes"] else {}


def _folders(needs: Needs) -> tuple[str, ...]:
    names = _names(needs)
    folders = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
    kept = f"The model's folder is worker/models/{folders}: make new-model NAME={names[0]} writes one."
    if needs.input_mb * 1e6 <= defaults("requests")["max_body_bytes"]:
        return (kept,)
    return (kept, "Inputs above 4.5 MB are uploads, which the model gets as a path or a stream: docs/api.md.")


def _asynchronous(costs: Costs) -> Entry:
    needs = costs.needs
    models = {"models": {name: _worker(needs) for name in _names(needs)}}
    return Entry({**models, **_uploads(needs)}, costs.stack, _folders(needs))


def _pool(costs: Costs) -> Entry:
    needs = costs.needs
    settings = {
        "models": {name: {"pool": POOL} for name in _names(needs)},
        "pools": {POOL: _worker(needs)},
        **_uploads(needs),
    }
    return Entry(settings, costs.pool, _folders(needs))


def _sync_settings(costs: Costs) -> dict[str, Any]:
    longest = math.ceil(round(costs.needs.longest * TIMEOUT_FACTOR, 6))
    return {"timeout_seconds": min(SYNC_SECONDS, max(LEAST_TIMEOUT_SECONDS, longest))}


def _sync(costs: Costs) -> Entry:
    needs = costs.needs
    models = {name: {**_worker(needs), "sync": _sync_settings(costs)} for name in _names(needs)}
    return Entry(
        {"models": models},
        costs.sync,
        (
            *_folders(needs),
            "POST /models/{model}/predict answers; POST /predict/{model} stays for what may take longer.",
        ),
    )


def _sync_warm(costs: Costs) -> Entry:
    plain = _sync(costs)
    warm = {"provisioned": costs.warm_environments}
    models = {
        name: {**model, "sync": {**model["sync"], "warmth": warm}} for name, model in plain.settings["models"].items()
    }
    note = (
        f"Environments that are kept, as many as run at a time at the peak: {costs.warm_environments}."
        " docs/warmth.md has ways that cost less."
    )
    return Entry({"models": models}, costs.sync_warm, (*plain.notes, note))


def _backend(kind: str, gpu: str | None, needs: Needs) -> dict[str, Any]:
    settings: dict[str, Any] = {"kind": kind, **ENDPOINTS[kind], "token_secret_arn": TOKEN.format(kind=kind)}
    if gpu:
        settings["gpu"] = gpu
    settings["run_seconds"] = max(1, math.ceil(needs.run_seconds))
    return {"models": {name: {"backend": settings} for name in _names(needs)}}


def _platform(costs: Costs) -> Entry:
    offer = costs.offers[0]
    others = [f"{other.platform.name}, {other.gpu} ${other.dollars:,.2f}" for other in costs.offers[1:]]
    notes = [
        f"{offer.platform.name} with an {offer.gpu} costs least. Others: {'; '.join(others) or 'none'}.",
        "Replace the endpoint or URL and the secret's ARN by yours. No provider deduplicates a submit, so a request can"
        " run twice; its outcome is written once.",
    ]
    return Entry(_backend(offer.kind, offer.gpu, costs.needs), offer.dollars, tuple(notes))


def _gpu_instance(costs: Costs) -> Entry:
    if costs.gpu_instance is None:
        return Entry({}, math.inf, (f"The price file has no instance with an {costs.needs.gpu}.",))
    machine, count, dollars = costs.gpu_instance
    notes = (
        f"{count} x {machine.name} with an {machine.gpu} each, always on, which run the image of make image TARGET=cog"
        f" MODEL={costs.needs.name}; this stack keeps the requests.",
        "Replace URL and secret by yours.",
    )
    return Entry(_backend("cog", machine.gpu, costs.needs), dollars, notes)


def _machine(costs: Costs) -> Entry:
    if costs.instance is None:
        most = max(machine.memory_gb for machine in costs.prices.larger_instances)
        return Entry(
            {}, math.inf, (f"The price file has instances of up to {most:g} GB: split or quantize the model.",)
        )
    machine, count, _ = costs.instance
    notes = (
        f"{count} x {machine.name}, always on, which run the image of make image TARGET=cog MODEL={costs.needs.name};"
        " this stack keeps the requests.",
        "A run that needs no one to wait for it can be an AWS Batch job as well.",
        "Replace URL and secret by yours.",
    )
    return Entry(_backend("cog", None, costs.needs), costs.machine, notes)


def _sagemaker(costs: Costs) -> Entry:
    offer = costs.offer("sagemaker")
    notes = (
        "This stack has no backend for it: the endpoint keeps the requests, in S3, and tells by SNS.",
        "After a pause an instance is started, which takes minutes.",
    )
    return Entry({}, offer.dollars if offer else math.inf, notes)


def _cloud_run(costs: Costs) -> Entry:
    notes = (
        f"make image TARGET=server MODEL={costs.needs.name} makes the image; docs/sync.md has the gcloud command.",
        "Nothing keeps the requests: a caller whose connection breaks asks again.",
    )
    return Entry({}, costs.cloud_run, notes)


def _instance(costs: Costs) -> Entry:
    if costs.instance is None:
        raise ValueError("the place is an instance, and there is none")
    machine, count, dollars = costs.instance
    notes = (
        f"{count} x {machine.name}, which run the image of make image TARGET=server MODEL={costs.needs.name}.",
        "Queue, retries, deploys, alarms and a second machine are yours to build, and not in the price.",
    )
    return Entry({}, dollars, notes)


_MAKE = {
    "asynchronous": _asynchronous,
    "pool": _pool,
    "sync": _sync,
    "sync_warm": _sync_warm,
    "backend": _platform,
    "gpu_instance": _gpu_instance,
    "sagemaker": _sagemaker,
    "cloud_run": _cloud_run,
    "machine": _machine,
    "instance": _instance,
}
