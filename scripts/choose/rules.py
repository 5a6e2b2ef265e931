"""The questions and the places: one graph, from which docs/choosing.md is drawn and by which an answer is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.choose import platforms
from scripts.choose.costs import MOST_MEMORY_MB, Costs
from scripts.cost.gpu import ASSUMED_LOAD_SECONDS
from scripts.stack_defaults import defaults

SYNC_SECONDS = 29
"""An HTTP API ends a call after 30 s."""

ASSUMED_COLD_SECONDS = 5.0
"""A function's start with a model: `make bench ONLY=cold` measures yours."""

FAR_LESS = 0.5
"""The share of the stack's cost below which an instance is proposed: its price has no queue and no deploys in it."""

_GUIDE = platforms.load()
MOST_RUN_SECONDS = _GUIDE.value(platforms.LONGEST_RUN, "lambda") or 0
MOST_INPUT_MB = _GUIDE.value(platforms.INPUT, "lambda") or 0
CLOUD_RUN_MEMORY_MB = _GUIDE.value(platforms.MEMORY, "cloud_run") or 0
CLOUD_RUN_SECONDS = _GUIDE.value(platforms.LONGEST_RUN, "cloud_run") or 0
CLOUD_RUN_INPUT_MB = _GUIDE.value(platforms.INPUT, "cloud_run") or 0
BODY_MB = defaults("requests")["max_body_bytes"] / 1e6


@dataclass(frozen=True)
class Question:
    """A question of the graph.

    Attributes:
        text: as the graph has it.
        asked: whether the answer is yes.
        because: the numbers that the answer is from.
        yes, no: what comes next, a question or a place.
    """

    text: str
    asked: Callable[[Costs], bool]
    because: Callable[[Costs], str]
    yes: str
    no: str


@dataclass(frozen=True)
class Step:
    """A question that was answered on the way."""

    key: str
    text: str
    answer: bool
    because: str


def _fits(costs: Costs) -> bool:
    needs = costs.needs
    return needs.memory_mb <= MOST_MEMORY_MB and needs.longest <= MOST_RUN_SECONDS and needs.input_mb <= MOST_INPUT_MB


def _fits_cloud_run(costs: Costs) -> bool:
    needs = costs.needs
    within = needs.memory_mb <= CLOUD_RUN_MEMORY_MB and needs.longest <= CLOUD_RUN_SECONDS
    return within and needs.input_mb <= CLOUD_RUN_INPUT_MB and not needs.in_aws


def _is_answered(costs: Costs) -> bool:
    needs = costs.needs
    wanted = needs.latency is not None and needs.latency <= SYNC_SECONDS
    return wanted and needs.longest <= SYNC_SECONDS and needs.input_mb <= BODY_MB


def _size(costs: Costs) -> str:
    needs = costs.needs
    return f"{needs.memory_mb:,.0f} MB, up to {needs.longest:g} s, inputs of up to {needs.input_mb:g} MB"


def _waits(costs: Costs) -> str:
    latency = costs.needs.latency
    return "the caller waits as long as it takes" if latency is None else f"the caller waits {latency:g} s"


def _gpu_start(costs: Costs) -> float:
    """Seconds until a GPU platform's first answer, of the one that costs least."""
    return costs.offers[0].platform.start_seconds + costs.gpu_run.load_seconds + costs.needs.run_seconds


def _gpu_instance(costs: Costs) -> float:
    return costs.gpu_instance[2] if costs.gpu_instance else float("inf")


def _sagemaker(costs: Costs) -> float:
    found = costs.offer("sagemaker")
    return found.dollars if found else float("inf")


def _least_offer(costs: Costs) -> str:
    offer = costs.offers[0]
    return f"{offer.platform.name} with an {offer.gpu} ${offer.dollars:,.2f} a month"


def _always_on(costs: Costs) -> str:
    if costs.gpu_instance is None:
        return "the price file has no instance with that GPU"
    machine, count, dollars = costs.gpu_instance
    return f"{count} x {machine.name} ${dollars:,.2f}"


def _instance(costs: Costs) -> str:
    if costs.instance is None:
        return "the price file has no instance with that memory"
    machine, count, dollars = costs.instance
    return f"{count} x {machine.name} ${dollars:,.2f} a month"


def _has_time_to_start(costs: Costs) -> bool:
    return (costs.needs.latency or 0) >= ASSUMED_COLD_SECONDS + costs.needs.run_seconds


def _function(costs: Costs) -> float:
    """Dollars a month of the functions that would be taken."""
    if not _is_answered(costs):
        return costs.stack
    return costs.sync if _has_time_to_start(costs) else costs.sync_warm


def _instance_is_far_less(costs: Costs) -> bool:
    return costs.instance is not None and costs.instance[2] < FAR_LESS * _function(costs)


START = "gpu"

QUESTIONS: dict[str, Question] = {
    "gpu": Question(
        "does the model need a GPU?",
        lambda costs: costs.needs.gpu is not None,
        lambda costs: f"GPU={costs.needs.gpu or 'none'}",
        yes="in_aws",
        no="fits",
    ),
    "in_aws": Question(
        "must the data stay in your AWS account?",
        lambda costs: costs.needs.in_aws,
        lambda costs: f"IN_AWS={int(costs.needs.in_aws)}",
        yes="aws_gpu",
        no="gpu_run",
    ),
    "aws_gpu": Question(
        "does a GPU instance that is always on cost less than an endpoint that scales to zero?",
        lambda costs: _gpu_instance(costs) < _sagemaker(costs),
        lambda costs: f"{_always_on(costs)}, SageMaker asynchronous ${_sagemaker(costs):,.2f} a month",
        yes="gpu_instance",
        no="sagemaker",
    ),
    "gpu_run": Question(
        "has a GPU platform such a GPU, and lets a run take so long?",
        lambda costs: bool(costs.offers),
        lambda costs: (
            f"runs of up to {costs.needs.longest:g} s: {', '.join(o.platform.name for o in costs.offers) or 'none'}"
        ),
        yes="gpu_wait",
        no="gpu_instance",
    ),
    "gpu_wait": Question(
        f"may an answer take as long as a start, {ASSUMED_LOAD_SECONDS:g} s of loading, and the run?",
        lambda costs: costs.needs.latency is None or costs.needs.latency >= _gpu_start(costs),
        lambda costs: f"{_waits(costs)}; a first answer takes about {_gpu_start(costs):,.0f} s",
        yes="gpu_cost",
        no="gpu_instance",
    ),
    "gpu_cost": Question(
        "does a GPU that is billed by the second cost less than an instance that is always on?",
        lambda costs: costs.offers[0].dollars <= _gpu_instance(costs),
        lambda costs: f"{_least_offer(costs)}, {_always_on(costs)}",
        yes="backend",
        no="gpu_instance",
    ),
    "fits": Question(
        f"does it fit in a function: {MOST_MEMORY_MB:,} MB, {MOST_RUN_SECONDS / 60:g} min, inputs of"
        f" {MOST_INPUT_MB:,.0f} MB?",
        _fits,
        _size,
        yes="cost",
        no="container",
    ),
    "container": Question(
        f"and in a container of Cloud Run: {CLOUD_RUN_MEMORY_MB / 1024:g} GiB, {CLOUD_RUN_SECONDS / 60:g} min,"
        f" inputs of {CLOUD_RUN_INPUT_MB:g} MB, data outside of AWS?",
        _fits_cloud_run,
        lambda costs: f"{_size(costs)}, IN_AWS={int(costs.needs.in_aws)}",
        yes="cloud_run",
        no="machine",
    ),
    "cost": Question(
        "does an instance that is always on cost less than half of this stack?",
        _instance_is_far_less,
        lambda costs: f"{_instance(costs)}, this stack ${_function(costs):,.2f}",
        yes="instance",
        no="answered",
    ),
    "answered": Question(
        f"is the answer wanted in the response, within {SYNC_SECONDS} s, and is every run shorter, with inputs of"
        f" {BODY_MB:g} MB?",
        _is_answered,
        lambda costs: f"{_waits(costs)}; {_size(costs)}",
        yes="cold",
        no="few",
    ),
    "cold": Question(
        f"may the first answer after a pause take a start of {ASSUMED_COLD_SECONDS:g} s more?",
        _has_time_to_start,
        lambda costs: f"{_waits(costs)}, a request runs {costs.needs.run_seconds:g} s",
        yes="sync",
        no="sync_warm",
    ),
    "few": Question(
        "is it one of several models whose queues would cost more than their requests?",
        lambda costs: costs.needs.models > 1 and costs.needs.rate < costs.pooled_below,
        lambda costs: (
            f"{costs.needs.models} of {costs.needs.rate:,.6g} requests a day each; a queue of its own costs as much as"
            f" {costs.pooled_below:,.0f}"
        ),
        yes="pool",
        no="asynchronous",
    ),
}

PLACES: dict[str, str] = {
    "asynchronous": "this stack",
    "pool": "this stack, in a pool",
    "sync": "this stack, synchronous: sync = {}",
    "sync_warm": "this stack, synchronous and kept warm",
    "backend": "this stack, with a GPU platform: backend = { kind = ... }",
    "gpu_instance": "this stack, with a GPU instance that is always on: backend = { kind = cog }",
    "sagemaker": "a SageMaker asynchronous endpoint",
    "cloud_run": "Cloud Run, by the image target server",
    "machine": "this stack, with a large machine of yours: backend = { kind = cog }",
    "instance": "an instance that is always on, by the image target server",
}
"""Where a model can run: key -> as the graph has it."""


def way(costs: Costs) -> tuple[str, list[Step]]:
    """The place for these needs, and the questions that lead to it."""
    asked = list(_asked(costs))
    steps = [Step(key, QUESTIONS[key].text, answer, QUESTIONS[key].because(costs)) for key, answer, _ in asked]
    return asked[-1][2], steps


def place(costs: Costs) -> str:
    """The place for these needs."""
    *_, (_, _, found) = _asked(costs)
    return found


def _asked(costs: Costs) -> Iterator[tuple[str, bool, str]]:
    """Each question on the way, its answer, and what comes next."""
    key = START
    while key in QUESTIONS:
        question = QUESTIONS[key]
        answer = question.asked(costs)
        following = question.yes if answer else question.no
        yield key, answer, following
        key = following


def graph() -> str:
    """The graph as Mermaid."""
    return "\n".join(("graph TD", *_lines()))


def _lines() -> Iterator[str]:
    for key, question in QUESTIONS.items():
        yield f'    {key}{{"{question.text}"}}'
    for key, place in PLACES.items():
        yield f'    {key}["{place}"]'
    for key, question in QUESTIONS.items():
        yield f"    {key} -->|yes| {question.yes}"
        yield f"    {key} -->|no| {question.no}"
