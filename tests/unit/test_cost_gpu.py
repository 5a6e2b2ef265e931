"""`make cost GPU=...`: GPUs by the second and by the hour, against bills computed by hand."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from scripts.console import CommandError
from scripts.cost import alternatives, gpu, gpu_report, prices
from scripts.cost.__main__ import gpu_run
from scripts.cost.demand import Traffic
from scripts.cost.gpu import GpuRun
from scripts.cost.prices import GpuMachine, GpuPlatform, GpuPrices
from scripts.cost.report import Estimate
from tests.unit.cost_examples import DEPLOYMENT, MEASURED, PRICES

SMALL = GpuPlatform("small", "made up", {"S": 0.001}, start_seconds=2, idle_seconds=10)
LARGE = GpuPlatform("large", "made up", {"L": 0.002, "XL": 0.004}, vcpu_second=0.0001, gb_second=0.00001)
GPUS = GpuPrices(
    {"S": 16, "M": 20, "L": 24, "XL": 80},
    {"small": SMALL, "large": LARGE},
    (GpuMachine("i.s", 4, 16, 0.5, gpu="S"), GpuMachine("i.l", 4, 16, 1.0, gpu="L")),
)
RUN = GpuRun("S", seconds=2, load_seconds=8)
TRAFFIC = Traffic(run_ms={"mine": 8000}, peak=3)


def test_a_platform_bills_runs_starts_and_the_wait_for_the_next_request() -> None:
    # One a day, far from the next: 30 x (2 s + 10 s idle + a start of 2 s and 8 s of loading)
    once = gpu.billed(SMALL, RUN, 1)
    assert once.run == pytest.approx(60)
    assert once.start == pytest.approx(30 * 10, rel=1e-3)
    assert once.idle == pytest.approx(30 * 10, rel=1e-3)
    # One in 12 s, as long as a run and its wait. A cycle: 12 s without a worker, 10 s of a start, 12 (e - 1) s with one
    often = gpu.billed(SMALL, RUN, 7200)
    month = 30 * 86_400
    cycle = 12 + 10 + 12 * (math.e - 1)
    assert often.run == pytest.approx(month / 6)
    assert often.start == pytest.approx(month * 10 / cycle)
    assert often.total == pytest.approx(month * (1 - 12 / cycle)), "up, whatever for"
    # Five at a time: no pauses
    busy = gpu.billed(SMALL, RUN, 86_400 * 2.5)  # kept up by e^30
    assert (busy.run, busy.idle) == (pytest.approx(month * 5), 0)
    assert busy.start == pytest.approx(0, abs=1)
    assert gpu.billed(SMALL, RUN, 0).total == 0


def test_vcpus_and_memory_are_added_where_they_are_billed_beside_the_gpu() -> None:
    assert gpu.second(SMALL, "S") == 0.001
    assert gpu.second(LARGE, "L") == pytest.approx(0.002 + 4 * 0.0001 + 16 * 0.00001)


def test_a_platform_without_the_gpu_takes_the_cheapest_with_as_much_memory() -> None:
    assert gpu.fitting(GPUS, SMALL, "S") == "S"
    assert gpu.fitting(GPUS, LARGE, "S") == "L"
    assert gpu.fitting(GPUS, LARGE, "XL") == "XL", "itself, though there are others"
    assert gpu.fitting(GPUS, SMALL, "M") is None
    names = {name: gpu.instance_for(GPUS, name) for name in GPUS.memory_gb}
    assert {name: found and found.name for name, found in names.items()} == {
        "S": "i.s",
        "M": "i.l",
        "L": "i.l",
        "XL": None,
    }


def test_instances_are_bought_for_the_peak() -> None:
    # 1 a second x 2 s x peak 3 = 6 busy; at 70% nine
    assert gpu.instances(GPUS.instances[0], RUN, 86_400, 3) == pytest.approx(9 * 360)
    assert gpu.instances(GPUS.instances[0], RUN, 0, 3) == pytest.approx(360)


def test_this_stack_in_front_has_a_dispatcher_in_place_of_the_worker() -> None:
    idle = gpu.stack(PRICES, DEPLOYMENT, TRAFFIC, MEASURED, RUN, 0)
    estimate = Estimate(PRICES, DEPLOYMENT, TRAFFIC, MEASURED)
    assert idle == pytest.approx(estimate.total(0)), "nobody calls"
    million = 1e6 / 30
    ours = gpu.stack(PRICES, DEPLOYMENT, TRAFFIC, MEASURED, RUN, million)
    without_worker = sum(
        value for name, value in estimate.bill(million).items() if name not in ("worker", "cold starts", "logs")
    )
    # Two invocations at 512 MB of 315 ms (300, and three calls of 5 ms), 0.00001 a GB-s, and 0.2 a million; three
    # writes and two SQS calls more
    dispatcher = 1e6 * 0.5 * 2 * 0.315 * 0.00001 + 2 * 0.2
    more = 3 * 0.6 + 2 * 0.4
    logs = estimate.bill(million)["logs"] + 600e6 / 1024**3 * 0.5  # a second invocation
    assert ours == pytest.approx(without_worker + dispatcher + more + logs, abs=0.05)


def test_a_platform_with_a_queue_of_its_own_has_no_stack_in_front() -> None:
    alone = replace(GPUS, platforms={"small": replace(SMALL, alone=True), "large": LARGE})
    found = gpu.platforms(replace(PRICES, gpu=alone), DEPLOYMENT, TRAFFIC, MEASURED, RUN)
    assert found["small, S"](500) == pytest.approx(0.001 * gpu.billed(SMALL, RUN, 500).total)
    assert found["small, S"](0) == 0
    assert found["large, L"](0) == pytest.approx(gpu.stack(PRICES, DEPLOYMENT, TRAFFIC, MEASURED, RUN, 0))


def test_the_comparison_says_what_costs_least_and_where_an_instance_does(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Estimate(replace(PRICES, gpu=GPUS), DEPLOYMENT, TRAFFIC, MEASURED)
    gpu_report.show(estimate, RUN, 500, Console(width=150))
    months, evens, hours = capsys.readouterr().out.split("\n\n")[:3]
    small = gpu.platforms(estimate.prices, DEPLOYMENT, TRAFFIC, MEASURED, RUN)["small, S"]
    instance = gpu.always_on(estimate.prices, RUN, 3)["i.s alone, always on"]
    rows = {name.strip(): cells for name, *cells in (re.split(r"\s{2,}", line) for line in months.splitlines()[1:])}
    assert list(rows) == ["this deployment", "small, S", "large, L", "i.s alone, always on"]
    assert rows["small, S"][1] == f"{small(500):,.2f}", "the column of 500 a day"
    assert rows["i.s alone, always on"][1] == "360.00"
    assert [name for name, cells in rows.items() if "*" in cells[1]] == ["this deployment"]
    (even,) = (line for line in evens.splitlines() if line.startswith("small, S"))
    ((start, _), *_) = alternatives.cheaper(small, instance)
    assert re.search(rf" {start:,.0f}( to |$)", even)
    assert small(start * 0.99) < instance(start * 0.99)
    (small_hours,) = (line.split() for line in hours.splitlines() if line.startswith("small, S"))
    billed = gpu.billed(SMALL, RUN, 500)
    assert small_hours[2:-1] == ["3.60", *(f"{each / 3600:,.1f}" for each in (billed.run, billed.start, billed.idle))]


def test_a_gpu_that_only_some_have_leaves_the_others_out(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Estimate(replace(PRICES, gpu=GPUS), DEPLOYMENT, TRAFFIC, MEASURED)
    gpu_report.show(estimate, replace(RUN, gpu="XL"), 500, Console(width=150))
    said = capsys.readouterr().out
    assert "small: no GPU of that size" in said
    assert "always on" not in said, "no instance has it"
    assert "large, XL" in said


def test_the_price_file_has_the_kinds_of_backends_and_memory_for_each_gpu() -> None:
    found = prices.load().gpu
    assert {"runpod", "replicate", "modal", "beam"} <= found.platforms.keys()
    named = {name for platform in found.platforms.values() for name in platform.per_second}
    assert named | {machine.gpu for machine in found.instances} <= found.memory_gb.keys()
    for platform in found.platforms.values():
        assert platform.source.startswith("https://")
        assert all(1e-5 < price < 0.01 for price in platform.per_second.values()), "dollars a second"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("B200", "100", {}), "GPU=B200: the price file has T4, A4000"),
        (("T4", None, {}), "GPU=T4: give GPU_MS"),
        (("T4", "0", {}), "GPU_MS=0: give a number above 0"),
        ((None, "100", {}), "GPU_MS=100: say which GPU"),
    ],
)
def test_a_gpu_that_is_asked_for_wrongly_is_an_error(
    options: tuple[str | None, str | None, dict[str, float]], said: str
) -> None:
    name, ms, run_ms = options
    with pytest.raises(CommandError, match=said):
        gpu_run(name, ms, "20", run_ms, list(prices.load().gpu.memory_gb))


def test_without_a_time_on_the_gpu_the_workers_time_counts() -> None:
    known = list(prices.load().gpu.memory_gb)
    assert gpu_run("a10g", None, "20", {"a": 1000, "b": 3000}, known) == GpuRun("A10G", 2.0, 20)
    assert gpu_run("A10G", "500", "5", {"a": 1000}, known) == GpuRun("A10G", 0.5, 5)
    assert gpu_run(None, None, "20", {"a": 1000}, known) is None
