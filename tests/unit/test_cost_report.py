"""What `make cost` shows: tables, alternatives and the picture."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.console import Console

from scripts.console import CommandError
from scripts.cost import alternatives, prices
from scripts.cost.__main__ import read_plan, run_times
from scripts.cost.demand import Load, Traffic
from scripts.cost.plot import draw
from scripts.cost.report import Estimate, show
from scripts.cost.requests import wait_reads
from tests.unit.cost_examples import DEPLOYMENT, MEASURED, POOL, PRICES, WORK, WORKER


def test_the_price_of_a_pools_model_is_of_its_own_run_time(capsys: pytest.CaptureFixture[str]) -> None:
    pool = replace(DEPLOYMENT, workers={"small": POOL})
    run_ms = {"a": 85, "b": 85, "c": 185, "d": 385}
    estimate = Estimate(prices.load(), pool, Traffic(run_ms=run_ms), MEASURED)
    show(estimate, "dev", 4000, 5, 1000, Console(width=140))
    shown = capsys.readouterr().out
    rows = {line.strip().split("  ")[0]: line.split() for line in shown.splitlines()}
    assert rows["pool small, 4 models"][4:7] == ["4,000", "1.0", "200"]
    prices_of = {name: float(rows[name][-1]) for name in ("each of 2: a ... b", "c", "d")}
    # 100 ms more at 2 GB: 0.2 GB-s a request
    assert prices_of["c"] - prices_of["each of 2: a ... b"] == pytest.approx(0.2 * 16.6667, abs=0.01)
    assert prices_of["d"] - prices_of["c"] == pytest.approx(0.4 * 16.6667, abs=0.01)
    assert rows["c"][-3] == "1,000", "requests"


def test_ways_of_calling_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Estimate(prices.load(), DEPLOYMENT, Traffic(run_ms={"mine": 85}, waits=3, webhooks=0.5), MEASURED)
    show(estimate, "dev", 4000, 5, 1000, Console(width=140))
    rows = dict(line.rsplit("  ", 1) for line in capsys.readouterr().out.splitlines() if line.strip().count("  "))
    shown = {name.strip(): value.strip() for name, value in rows.items()}
    ((name, load),) = estimate.loads(4000).items()
    ways = estimate.ways(name, load)
    assert {way: shown[way] for way in ways} == {way: f"{cost:,.2f}" for way, cost in ways.items()}
    # By hand: two status queries of the status that is shown below; 1 s at 1 GB and 17 reads of half a unit.
    queries, waited = ways["2 status queries"], ways["a submit that waits 1 s"]
    none = queries - 2 * estimate.status_query() * 1e6
    assert waited - none == pytest.approx(16.6667 + wait_reads(1) * 0.0625, abs=0.01)
    assert none < ways["a webhook"] < waited < ways["a submit that waits 10 s"]
    assert ways["batches of 100, 2 status queries of each"] < ways["batches of 10, 2 status queries of each"] < none


def test_ranges_and_dear_metrics_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    pool = replace(POOL, function=replace(POOL.function, metrics=True))
    deployment = replace(DEPLOYMENT, workers={"small": pool}, per_resource={"cloudwatch_alarm_month": 9})
    estimate = Estimate(prices.load(), deployment, Traffic(), MEASURED)
    show(estimate, "dev", 10_000, 5, 1000, Console(width=140))
    lines = capsys.readouterr().out.splitlines()
    cost = estimate.bill(10_000)["metrics"]
    assert (
        f"metrics: ${cost:,.2f} at 10,000 requests a day, for 4 models; monitoring = {{ metrics = false }} writes none"
        in lines
    )
    (instance,) = (line for line in lines if line.startswith("c7i.large") and "from" in line)
    ((start, _),) = estimate.cheaper()["c7i.large alone, always on"]
    assert instance.endswith(f"from {start:,.0f}")
    (endpoint,) = (line for line in lines if line.startswith("SageMaker") and "up to" in line)
    (_, end), *_ = estimate.cheaper()["SageMaker async, ml.m5.large"]
    assert f" up to {end:,.0f}" in endpoint


# Machines


def busy(per_day: float, vcpu_seconds: float) -> Load:
    return Load(per_day, 1, 1, {"mine": 1000}, WORK, vcpu_seconds)


def test_machines_are_counted_at_the_peak() -> None:
    # 1 a second x 1 s x peak 3 = 3 vCPUs busy; 2 vCPUs at 70% take 1.4: three machines
    assert alternatives.machines(PRICES.instance, [busy(86_400, 1)], 3) == 3
    assert alternatives.machines(PRICES.instance, [], 3) == 1
    assert alternatives.instances_per_month(PRICES, [busy(86_400, 1)], 3) == pytest.approx(3 * 72)


def test_an_asynchronous_endpoint_costs_nothing_idle_and_runs_on_after_each_request() -> None:
    assert alternatives.sagemaker_per_month(PRICES, [busy(0, 1)], 1, 2) == 0
    # One a day: up for 1 - e^(-900/86400) of the month; 30 x (2 PUTs + 3 GETs)
    one = alternatives.sagemaker_per_month(PRICES, [busy(1, 1)], 1, 2)
    assert one == pytest.approx(144 * (1 - math.exp(-1 / 96)) + 30 * (10e-6 + 1.2e-6))


def test_where_the_other_costs_less() -> None:
    ((start, end),) = alternatives.cheaper(lambda per_day: per_day / 1000, lambda per_day: 72.0)
    assert (start, end) == (pytest.approx(72_000, rel=1e-6), None)
    assert alternatives.cheaper(lambda per_day: 1.0, lambda per_day: 72.0) == []
    assert alternatives.cheaper(lambda per_day: 80.0, lambda per_day: 72.0) == [(1, None)]
    # Below 20, and between 1,000 and 100,000
    ranges = alternatives.cheaper(
        lambda per_day: 20 if per_day < 1000 else min(1000, per_day),
        lambda per_day: per_day if per_day < 1000 else per_day / 100 if per_day < 1e5 else 2000,
    )
    assert ranges == [(1, pytest.approx(20)), (pytest.approx(1000), pytest.approx(1e5))]


# The command


def test_run_times_are_for_all_models_or_for_one() -> None:
    models = ["a", "b"]
    assert run_times(["b=7", "5"], models) == {"a": 5, "b": 7}
    assert run_times([], models) == {}
    with pytest.raises(CommandError, match="there is no model c: there are a, b"):
        run_times(["c=1"], models)
    for wrong in ("a=", "fast", "-1", "nan", "inf"):
        with pytest.raises(CommandError, match="give a number above 0"):
            run_times([wrong], models)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"planned_values": {}}', "no api function or no worker is in the plan"),
        ('{"planned', "is no JSON"),
        (None, "there is no such file"),
    ],
)
def test_a_plan_that_is_none_is_told(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "plan"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(CommandError, match=said):
        read_plan("prod", path)


def test_the_picture_marks_the_crossover(tmp_path: Path) -> None:
    estimate = Estimate(prices.load(), DEPLOYMENT, Traffic(run_ms={"mine": 100}), MEASURED)
    ((found, end),) = estimate.cheaper()["c7i.large alone, always on"]
    assert end is None
    assert estimate.total(found) == pytest.approx(estimate.instance(found), rel=1e-6)
    assert draw(estimate, "prod", tmp_path / "cost.svg") == (find_spec("matplotlib") is not None)
    if find_spec("matplotlib"):
        text = (tmp_path / "cost.svg").read_text(encoding="utf-8")
        assert f"<!-- {found:,.0f} a day -->" in text


def test_the_tables_say_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    deployment = replace(DEPLOYMENT, workers={"mine": replace(WORKER, maximum_concurrency=2000)}, unpriced=("aws_new",))
    estimate = Estimate(prices.load(), deployment, Traffic(run_ms={"mine": 1985}), MEASURED)
    show(estimate, "prod", 50_000, 5, 10, Console(width=140))
    said = capsys.readouterr().out
    assert " 50,000 " in said.splitlines()[3], "a column of its own"
    # 50,000 / 86,400 a second x 2 s
    assert "1.16" in said
    assert "the models' maximum_concurrency adds up to 2,000, more than that" in said
    assert "not in the bill: aws_new" in said
    assert "metrics: " not in said
    query = estimate.status_query()
    assert f"one status query costs ${query:.8f}" in said
    assert query == pytest.approx(1.7e-6, rel=0.1)
