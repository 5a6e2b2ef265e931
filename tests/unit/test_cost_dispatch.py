"""What models cost whose `backend` is a GPU provider, from a plan."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from scripts.cost import deployment, dispatch, gpu, report
from scripts.cost.__main__ import planned_run
from scripts.cost.demand import Traffic
from scripts.cost.dispatch import Backend
from scripts.cost.gpu import GpuRun
from scripts.cost.report import Estimate
from tests.unit.cost_examples import DEPLOYMENT, MEASURED, PRICES, WORKER
from tests.unit.test_cost_gpu import GPUS, SMALL
from worker.dispatch.delays import LookDelay

BACKEND = Backend("small", "S", run_seconds=2, start_seconds=8)
DISPATCHER = replace(
    WORKER, function=replace(WORKER.function, memory_mb=dispatch.MEMORY_MB), batch_size=1, backend=BACKEND
)
DEPLOYED = replace(DEPLOYMENT, workers={"mine": DISPATCHER})
PRICED = replace(PRICES, gpu=GPUS)


def planned(module: str, backends: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A function of a plan, and the mapping of a worker."""
    variables = {"MODELS": json.dumps({"mine": "mine"}), "RETENTION_SECONDS": "604800"}
    function = {
        "function_name": module,
        "memory_size": 256,
        "timeout": 60,
        "architectures": ["x86_64"],
        "package_type": "Zip",
        "environment": [{"variables": variables | ({"BACKENDS": json.dumps(backends)} if backends else {})}],
    }
    place = f"module.stack.module.{module}"
    mapping = {"batch_size": 1}
    return [
        {"mode": "managed", "type": kind, "address": f"{place}.{kind}.this", "values": values}
        for kind, values in (("aws_lambda_function", function), ("aws_lambda_event_source_mapping", mapping))
    ]


def test_a_plans_dispatcher_says_where_its_model_runs() -> None:
    settings = {"kind": "runpod", "gpu": "L4", "run_seconds": 3, "poll_seconds": {"min": 5, "max": 30}, "endpoint": "e"}
    resources = [*planned("api", None), *planned('worker["mine"]', {"mine": settings})]
    found = deployment.read({"planned_values": {"root_module": {"resources": resources}}})
    assert found.workers["mine"].backend == Backend("runpod", "L4", 3, None, LookDelay(5, 30))
    plain = deployment.read(
        {"planned_values": {"root_module": {"resources": [*planned("api", None), *planned('worker["mine"]', None)]}}}
    )
    assert plain.workers["mine"].backend is None


def test_what_a_backend_does_not_say_has_defaults() -> None:
    assert dispatch.read({"kind": "cog", "poll_seconds": None}) == Backend("cog", None, None, None, LookDelay(2, 120))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    # 2, 4, 6, 9, ... 316 s, which are thirteen; then one every two minutes
    [(0, 1), (2, 1), (2.1, 2), (4, 2), (6.5, 4), (316, 13), (3600, 41)],
)
def test_a_run_is_looked_at_until_it_is_over(seconds: float, expected: int) -> None:
    assert dispatch.looks(BACKEND, seconds) == expected


def test_the_bill_has_the_platform() -> None:
    estimate = Estimate(PRICED, DEPLOYED, Traffic(), MEASURED)
    bill = estimate.bill(500)
    billed = gpu.billed(SMALL, GpuRun("S", 2, 8), 500)
    assert bill["small, S"] == pytest.approx(0.001 * billed.total)
    assert estimate.total(500) == pytest.approx(sum(bill.values()))
    with_own_time = Estimate(PRICED, DEPLOYED, Traffic(run_ms={"mine": 4000}), MEASURED).bill(500)
    assert with_own_time["small, S"] == pytest.approx(0.001 * gpu.billed(SMALL, GpuRun("S", 4, 8), 500).total)
    ((name, load),) = estimate.loads(500).items()
    requests = 500 * 30
    assert estimate.per_million(name, load) > bill["small, S"] / requests * 1e6
    assert load.model_ms["mine"] == 315, "of the dispatcher: a call of the provider, three of AWS"


def test_a_dispatcher_uses_the_same_as_in_the_comparison() -> None:
    estimate = Estimate(PRICED, DEPLOYED, Traffic(), MEASURED)
    bill = estimate.bill(500)
    compared = replace(DEPLOYED, workers={"mine": replace(WORKER, function=DISPATCHER.function)})
    ours = gpu.stack(PRICED, compared, Traffic(), MEASURED, GpuRun("S", 2, 8), 500)
    assert sum(bill.values()) - bill["small, S"] == pytest.approx(ours)


def test_a_deployment_of_backends_alone_is_compared_with_gpus_only(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Estimate(PRICED, DEPLOYED, Traffic(), MEASURED)
    assert estimate.alternatives() == {}
    assert planned_run(DEPLOYED, Traffic(), list(GPUS.memory_gb)) == GpuRun("S", 2, 8)
    assert planned_run(DEPLOYMENT, Traffic(), list(GPUS.memory_gb)) is None
    report.show(estimate, "dev", 500, 5, 1000, Console(width=150))
    said = capsys.readouterr().out
    assert "small, S" in said
    assert "not in the bill: what the backend" not in said
    assert "run time of mine" not in said, "it is the platform's"


@pytest.mark.parametrize(
    "backend",
    [
        Backend("cog", "S", 2),
        Backend("small", None, 2),
        Backend("small", "S"),
        Backend("small", "GTX", 2),
        Backend("small", "XL", 2),
    ],
)
def test_a_backend_without_a_price_is_named(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = replace(DEPLOYED, workers={"mine": replace(DISPATCHER, backend=backend)})
    estimate = Estimate(PRICED, unknown, Traffic(), MEASURED)
    assert gpu.providers(PRICED, unknown, Traffic(), 500) == {}
    report.show(estimate, "dev", 500, 5, 1000, Console(width=150))
    assert f"not in the bill: what the backend of mine, {backend.kind}, costs" in capsys.readouterr().out
