"""The bill of a month against bills computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.console import Console

from scripts.console import CommandError
from scripts.cost import alternatives, prices, usage
from scripts.cost.__main__ import read_plan, run_times
from scripts.cost.deployment import Deployment, Function, Worker
from scripts.cost.measured import Measured, PerRequest, load
from scripts.cost.plot import draw
from scripts.cost.prices import Item, Line, Machine, Prices
from scripts.cost.report import Estimate, show
from scripts.cost.requests import Call, Work, billed_ms, function_lines, request_lines, units
from scripts.cost.usage import Load, Traffic
from scripts.cost.warmth import Warmth

PRICES = Prices(
    region="here",
    date="today",
    source="made up",
    items={
        "lambda_gb_seconds_x86_64": Item(0.00001),
        "lambda_invocations": Item(0.2e-6),
        "provisioned_gb_seconds_x86_64": Item(0.000004),
        "provisioned_running_gb_seconds_x86_64": Item(0.000006),
        "sqs_requests": Item(0.4e-6, free=1e6),
        "http_api_calls": Item(1e-6, tiers=((300e6, 0.9e-6),)),
        "dynamodb_writes": Item(0.6e-6),
        "dynamodb_strong_reads": Item(0.1e-6),
        "dynamodb_stored_gb_month": Item(0.25),
        "dynamodb_backup_gb_month": Item(0.20),
        "logs_gb": Item(0.5),
        "logs_stored_gb_month": Item(0.03),
        "cloudwatch_alarm_month": Item(0.1),
        "cloudwatch_metric_month": Item(0.3),
        "ecr_gb_month": Item(0.1),
        "endpoint_hours": Item(0.01),
        "s3_puts": Item(5e-6),
        "s3_gets": Item(0.4e-6),
    },
    instance=Machine("one", 2, 4, 0.1),
    sagemaker=Machine("two", 2, 8, 0.2),
)
WORK = Work(
    batch=10,
    worker_cpu_ms=0.5,
    worker_calls=0.3,
    worker_sqs_calls=0.1,
    worker_log_bytes=300,
    submit=Call(cpu_ms=1.0, aws_calls=2, log_bytes=450),
    status=Call(cpu_ms=0.5, aws_calls=1, log_bytes=230),
    api_memory_mb=256,
    access_log_bytes=320,
    writes=5,
    record_bytes=600,
)
MEASURED = Measured(
    source="made up",
    alone=PerRequest(cpu_ms=2.0, calls=3.0, sqs_calls=1.0, log_bytes=500),
    full=PerRequest(cpu_ms=0.5, calls=0.3, sqs_calls=0.1, log_bytes=300),
    worker_init_ms=500,
    api_init_ms=400,
    submit=WORK.submit,
    status=WORK.status,
    record_bytes=1000,
)
API = Function("api", 1024, 10, "x86_64")
WORKER = Worker(Function("worker", 2048, 60, "x86_64"), ("mine",), batch_size=10)
POOL = replace(WORKER, models=("a", "b", "c", "d"))
DEPLOYMENT = Deployment(api=API, workers={"mine": WORKER}, others=(), polled_queues=2, record_days=7, log_days=30)


# Prices


def test_a_tier_counts_from_where_it_begins() -> None:
    item = Item(1.0, tiers=((10, 0.5), (20, 0.25)))
    assert [item.dollars(quantity) for quantity in (0, 4, 10, 14, 30)] == [0, 4, 10, 12, 10 + 5 + 2.5]


def test_components_share_an_items_tiers_and_its_free_units() -> None:
    small = replace(PRICES, items={"calls": Item(1.0, tiers=((10, 0.5),), free=2)})
    lines = [Line("a", "calls", 15), Line("b", "calls", 5)]  # 10 x 1 + 10 x 0.5
    assert small.bill(lines) == {"a": pytest.approx(11.25), "b": pytest.approx(3.75)}
    assert sum(small.bill(lines, free_tier=True).values()) == pytest.approx(10 + 8 * 0.5)
    assert small.bill([Line("a", "calls", 2)], free_tier=True) == {"a": 0}


def test_the_price_file_is_whole_and_says_where_it_is_from() -> None:
    found = prices.load()
    assert found.source
    assert found.date >= "2026-11-26"
    assert found.unconfirmed.keys() <= found.items.keys() | {"instance", "sagemaker"}
    assert PRICES.items.keys() <= found.items.keys()
    assert found.instance.per_month == pytest.approx(found.instance.per_hour * 720)


# Requests


@pytest.mark.parametrize(
    ("cpu_ms", "calls", "memory_mb", "expected"),
    [
        (5.0, 3.0, 1769, 20),  # 5 + 3 x 5
        (5.0, 3.0, 10_240, 20),  # more vCPUs do not help one thread
        (5.0, 0.0, 884.5, 10),  # half a vCPU, twice the time
        (5.001, 0.0, 1769, 6),  # every started millisecond
        (0.1, 0.0, 1769, 1),
    ],
)
def test_billed_duration(cpu_ms: float, calls: float, memory_mb: float, expected: float) -> None:
    assert billed_ms(cpu_ms, calls, memory_mb) == expected


def test_a_function_costs_its_gb_seconds_and_its_invocations() -> None:
    # 1,000,000 x 0.1 s x 2 GB = 200,000 GB-s -> $2.00; + $0.20
    assert PRICES.bill(function_lines("f", 1_000_000, 100, 2048)) == {"f": pytest.approx(2.2)}


def test_the_bill_of_a_million_requests() -> None:
    bill = PRICES.bill(request_lines(WORK, 1769))
    # worker: 100,000 invocations of 5 + 3 x 5 = 20 ms at 1769/1024 GB = 3,455.08 GB-s -> $0.034551; + $0.02
    assert bill["worker"] == pytest.approx(0.054551, abs=1e-6)
    # api: 256 MB is 0.144715 vCPU. A submit: 6.91 + 10 -> 17 ms; a status query: 3.46 + 5 -> 9 ms, twice.
    # 1,000,000 x (17 + 2 x 9) ms x 0.25 GB = 8,750 GB-s -> $0.0875; + $0.60
    assert bill["api function"] == pytest.approx(0.6875)
    assert bill["HTTP API"] == pytest.approx(3.0)
    # 1 send + 0.1 receive + 0.1 delete + 0.1 visibility
    assert bill["SQS"] == pytest.approx(0.4 * 1.3)
    assert bill["DynamoDB writes"] == pytest.approx(3.0)
    # 2 polls, half a unit each
    assert bill["DynamoDB reads"] == pytest.approx(0.1)
    # worker 300, api 450 + 2 x 230, 350 for each of 0.1 + 3 invocations, 3 x 320 of the access log:
    # 3,255 bytes x 1 M = 3.031455 GiB
    assert bill["logs"] == pytest.approx(1.515728, abs=1e-5)


def test_a_record_of_more_than_a_unit_costs_two() -> None:
    assert [units(size, 1024) for size in (1, 1024, 1025)] == [1, 1, 2]


def test_a_large_batch_is_received_and_deleted_by_tens() -> None:
    ten, twenty = (PRICES.bill(request_lines(replace(WORK, batch=size), 1769)) for size in (10, 20))
    assert ten["SQS"] == twenty["SQS"]


# What was measured


def test_between_the_measured_batches_an_invocation_grows_by_the_request() -> None:
    # An invocation takes 2 ms for one, 5 ms for ten: 1/3 ms for each more.
    assert MEASURED.at(1).cpu_ms == 2.0
    assert MEASURED.at(10).cpu_ms == pytest.approx(0.5)
    assert MEASURED.at(4).cpu_ms == pytest.approx((2 + 1) / 4)
    assert MEASURED.at(4).calls == pytest.approx(3 / 4), "three calls, however many requests"


def test_what_is_kept_from_the_bench_is_whole() -> None:
    kept = load()
    assert kept.source
    assert kept.full.cpu_ms < kept.alone.cpu_ms


# A month


def month(deployment: Deployment, traffic: Traffic, per_day: float) -> dict[str, float]:
    return PRICES.bill(usage.month(deployment, traffic, MEASURED, per_day))


def test_an_idle_month_costs_the_polling_of_its_queues() -> None:
    # Five connections of 20 s are 648,000 receives a month and queue.
    assert month(DEPLOYMENT, Traffic(), 0) == {"SQS polling": pytest.approx(2 * 648_000 * 0.4e-6)}


def test_what_is_paid_for_while_nobody_calls() -> None:
    kept = replace(
        DEPLOYMENT,
        workers={"mine": replace(WORKER, function=replace(WORKER.function, provisioned=3, image=True))},
        others=(Function("sweeper", 1024, 60, "x86_64"),),
        sweeps_per_month=1_000_000,
        endpoints=4,
        per_resource={"cloudwatch_alarm_month": 6},
    )
    bill = month(kept, Traffic(image_gb=2), 0)
    assert bill["provisioned concurrency"] == pytest.approx(3 * 2 * 2_592_000 * 0.000004)
    assert bill["image registry"] == pytest.approx(0.2)
    assert bill["VPC endpoints"] == pytest.approx(4 * 720 * 0.01)
    assert bill["alarms"] == pytest.approx(0.6)
    # 1 M x 0.4 s x 1 GB = 400,000 GB-s -> $4.00; + $0.20; 4 M reads -> $0.40
    assert bill["sweeper"] == pytest.approx(4.6)


def test_a_month_of_a_model_whose_run_time_is_given() -> None:
    bill = month(DEPLOYMENT, Traffic(run_ms={"mine": 1985}), 100_000)
    # 3 M batches of one: 1,985 ms + 3 calls x 5 ms = 2 s at 2 GB = 12,000,000 GB-s -> $120; + $0.60
    assert bill["worker"] == pytest.approx(120.6)
    # 1,024 MB is 0.578858 vCPU. A submit: 1.73 + 10 -> 12 ms; a status query: 0.86 + 5 -> 6 ms, twice.
    # 3 M x 24 ms x 1 GB = 72,000 GB-s -> $0.72; + 9 M invocations -> $1.80
    assert bill["api function"] == pytest.approx(2.52)
    # 9 M calls, 3 M sends, 6 M receives and deletes, 3 M visibility changes
    assert bill["HTTP API"] == pytest.approx(9.0)
    assert bill["SQS"] == pytest.approx(12 * 0.4)
    assert bill["DynamoDB writes"] == pytest.approx(15 * 0.6)  # three of the record, two of the index
    # 100,000 x 1,000 bytes x 7 days = 0.651926 GiB at $0.25 + $0.20
    assert bill["DynamoDB storage"] == pytest.approx(0.293367, abs=1e-6)


def test_a_batch_is_what_the_window_collects_at_most_what_fits() -> None:
    windowed = replace(WORKER, batch_window_seconds=2)
    assert usage.fill_of(WORKER, 100, None) == 1, "without a window each message goes alone"
    assert usage.fill_of(windowed, 0.1, None) == 1
    assert usage.fill_of(windowed, 10, None) == 4  # 10 a second x 2 s over five connections
    assert usage.fill_of(windowed, 1000, None) == 10
    assert usage.fill_of(WORKER, 0, 25) == 10


def test_rare_requests_start_cold_and_frequent_ones_do_not() -> None:
    rare = month(DEPLOYMENT, Traffic(), 24)["cold starts"]
    # One an hour: 720 starts x e^(-300/3600); 0.5 s x 2 GB of the worker, 0.4 s x 1 GB of the api function
    assert rare == pytest.approx(720 * math.exp(-1 / 12) * 1.4 * 0.00001)
    assert "cold starts" not in month(DEPLOYMENT, Traffic(), 1_000_000)
    warm = replace(WORKER, function=replace(WORKER.function, provisioned=1))
    kept = replace(DEPLOYMENT, workers={"mine": warm}, api=replace(API, provisioned=1))
    assert "cold starts" not in month(kept, Traffic(), 24)


def test_models_share_the_traffic() -> None:
    two = replace(DEPLOYMENT, workers={"a": replace(WORKER, models=("a",)), "b": replace(WORKER, models=("b",))})
    loads = usage.loads(two, Traffic(run_ms={"a": 100, "b": 300}), MEASURED, 1000)
    assert {name: (load.per_day, load.batch_ms) for name, load in loads.items()} == {"a": (500, 115), "b": (500, 315)}


# Pools


def test_a_pool_gets_the_requests_of_all_its_models() -> None:
    both = replace(DEPLOYMENT, workers={"mine": WORKER, "pool": POOL})
    loads = usage.loads(both, Traffic(run_ms={"mine": 100, "a": 85, "b": 85, "c": 185, "d": 385}), MEASURED, 5000)
    assert {name: load.per_day for name, load in loads.items()} == {"mine": 1000, "pool": 4000}
    # Each has 3 calls of 5 ms more, alone in its batch
    assert loads["pool"].model_ms == {"a": 100, "b": 100, "c": 200, "d": 400}
    assert loads["pool"].batch_ms == 200


def test_a_batch_of_several_models_is_a_pass_and_three_calls_for_each() -> None:
    pool = replace(DEPLOYMENT, workers={"pool": POOL})
    load = usage.loads(pool, Traffic(fill=2), MEASURED, 1000)["pool"]
    # Two requests are of one model with a probability of 1/4
    assert load.batch_models == pytest.approx(1.75)
    assert load.work.worker_calls == pytest.approx(3 * 1.75 / 2)
    assert usage.distinct(1, 10) == 1
    assert usage.distinct(50, 1) == 1
    assert usage.distinct(50, 1e9) == pytest.approx(50)


def test_the_models_of_a_pool_are_loaded_after_each_start() -> None:
    pool = replace(DEPLOYMENT, workers={"pool": POOL}, api=replace(API, provisioned=1))
    once = month(pool, Traffic(), 24)["cold starts"]
    # One an hour: e^(300/3600) = 1.0869 requests between two starts are of 1.0642 of four models
    starts = 720 * math.exp(-1 / 12)
    assert once == pytest.approx(starts * usage.distinct(4, math.exp(1 / 12)) * 0.5 * 2 * 0.00001)
    assert "cold starts" not in month(pool, Traffic(), 100_000_000), "no overflow"


def test_a_snapshot_has_no_model_of_a_pool() -> None:
    kept = replace(PRICES, items={**PRICES.items, "snapshot_gb_seconds": Item(0), "snapshot_restored_gb": Item(0.0001)})
    function = replace(POOL.function, warmth=Warmth(snapshot=True))
    pool = replace(DEPLOYMENT, workers={"pool": replace(POOL, function=function)}, api=replace(API, provisioned=1))
    bill = kept.bill(usage.month(pool, Traffic(), MEASURED, 24))
    starts = 720 * math.exp(-1 / 12)
    assert bill["SnapStart"] == pytest.approx(starts * 2 * 0.0001)
    loads = starts * usage.distinct(4, math.exp(1 / 12))
    assert bill["cold starts"] == pytest.approx(loads * 0.5 * 2 * 0.00001)


def test_the_api_starts_cold_for_all_models_together() -> None:
    several = {name: replace(WORKER, models=(name,), function=replace(WORKER.function, provisioned=1)) for name in "ab"}
    bill = month(replace(DEPLOYMENT, workers=several), Traffic(), 24)
    assert bill["cold starts"] == pytest.approx(720 * math.exp(-1 / 12) * 0.4 * 0.00001)


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


# Metrics


def metrics(deployment: Deployment, traffic: Traffic, per_day: float) -> float:
    found = usage.month(deployment, traffic, MEASURED, per_day)
    return sum(line.quantity for line in found if line.item == "cloudwatch_metric_month")


def test_custom_metrics_are_paid_for_in_the_hours_that_have_values() -> None:
    written = replace(
        DEPLOYMENT,
        api=replace(API, metrics=True),
        workers={"mine": replace(WORKER, function=replace(WORKER.function, metrics=True))},
    )
    assert metrics(DEPLOYMENT, Traffic(), 1_000_000) == 0
    assert metrics(written, Traffic(), 0) == 0
    assert metrics(written, Traffic(), 1_000_000) == pytest.approx(6), "in every hour, and no cold starts"
    # One an hour: a share of 1 - 1/e of the hours has one; e^(-300/3600) of them start cold, worker and api function
    hours, cold = 1 - math.exp(-1), 1 - math.exp(-math.exp(-1 / 12))
    assert metrics(written, Traffic(), 24) == pytest.approx(6 * hours + 2 * cold + cold)
    in_batches = 1 - math.exp(-10 * math.exp(-10 / 12))  # one batch of ten an hour, and ten calls of the api function
    assert metrics(written, Traffic(fill=10), 240) == pytest.approx(6 * hours + 2 * cold + in_batches)


def test_the_models_of_a_pool_have_their_metrics_in_common() -> None:
    pool = replace(DEPLOYMENT, workers={"pool": replace(POOL, function=replace(POOL.function, metrics=True))})
    assert metrics(pool, Traffic(), 10_000_000) == pytest.approx(6)
    # Four an hour; the worker starts cold e^(-4/12) of the times, with e^(4/12) requests between two starts
    starts = 4 * math.exp(-1 / 3)
    loads = starts * usage.distinct(4, math.exp(1 / 3))
    once_started = 1 - math.exp(-starts) + 1 - math.exp(-loads)
    assert metrics(pool, Traffic(), 96) == pytest.approx(6 * (1 - math.exp(-4)) + once_started)
    # 40 batches of ten an hour; 40 x e^(-40/12) of them start cold, and all four models are used before the next start
    starts = 40 * math.exp(-40 / 12)
    once_started = 1 - math.exp(-starts) + 1 - math.exp(-4 * starts)
    assert metrics(pool, Traffic(fill=10), 9600) == pytest.approx(6 + once_started, abs=1e-3)


def test_metrics_are_log_lines_too() -> None:
    written = replace(DEPLOYMENT, workers={"mine": replace(WORKER, function=replace(WORKER.function, metrics=True))})
    for fill, size in ((1, 583), (10, 684)):
        logs = [
            sum(
                line.quantity
                for line in usage.month(each, Traffic(fill=fill), MEASURED, 1000)
                if line.item == "logs_gb"
            )
            for each in (DEPLOYMENT, written)
        ]
        assert (logs[1] - logs[0]) * 1024**3 == pytest.approx(30_000 / fill * size, rel=1e-3)


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
