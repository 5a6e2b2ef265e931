"""What keeps environments ready, read from a plan and billed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scripts.cost import deployment, warmth
from scripts.cost.demand import Traffic
from scripts.cost.prices import Item
from scripts.cost.usage import month
from scripts.cost.warmth import Warmth
from tests.unit.cost_examples import DEPLOYMENT, MEASURED, PRICES, WORKER

START, STOP = "cron(0 8 ? * MON-FRI *)", "cron(0 18 ? * MON-FRI *)"


def actions(start: str, stop: str, number: int = 2) -> list[dict[str, Any]]:
    # The provider has these numbers as text.
    return [
        {"schedule": start, "scalable_target_action": [{"min_capacity": str(number), "max_capacity": str(number)}]},
        {"schedule": stop, "scalable_target_action": [{"min_capacity": "0", "max_capacity": "0"}]},
    ]


@pytest.mark.parametrize(
    ("start", "stop", "hours"),
    [
        (START, STOP, 50),
        ("cron(30 8 * * ? *)", "cron(0 9,20 * * ? *)", 3.5),  # the second stop finds nothing
        ("cron(0 22 ? * SUN,FRI *)", "cron(0 6 ? * 2,SAT *)", 16),  # over midnight, and over the week's end
        ("cron(0 8 ? * FRI-MON *)", "cron(0 9 ? * FRI-MON *)", 4),
        ("cron(0/5 8 ? * MON *)", STOP, 168),
        ("cron(0 8 1 * ? *)", STOP, 168),
        ("cron(0 8 ? * MON#1 *)", STOP, 168),
    ],
)
def test_the_hours_of_a_schedule(start: str, stop: str, hours: float) -> None:
    assert warmth.scheduled(actions(start, stop)) == pytest.approx(2 * hours / 168)


def resource(place: str, kind: str, name: str, **values: Any) -> dict[str, Any]:
    return {"mode": "managed", "type": kind, "address": f"{place}.{kind}.{name}", "values": values}


def function(place: str, name: str, **values: Any) -> dict[str, Any]:
    fixed = {"function_name": name, "memory_size": 1024, "timeout": 30, "architectures": ["x86_64"]}
    environment = [{"variables": {"RETENTION_SECONDS": "86400", "MODELS": '{"mine": "mine"}'}}]
    zipped = {"package_type": "Zip", "environment": environment}
    return resource(place, "aws_lambda_function", "this", **fixed, **zipped, **values)


def test_a_plan_says_what_keeps_environments_ready() -> None:
    worker, api = 'module.stack.module.worker["mine"]', "module.stack.module.api"
    at = f"{worker}.module.function"
    ping = '{"ping":{"hold_ms":200}}'
    resources = [
        function(api, "api", snap_start=[{"apply_on": "PublishedVersions"}]),
        function(at, "worker"),
        resource(worker, "aws_lambda_event_source_mapping", "queue", batch_size=10),
        resource(at, "aws_cloudwatch_event_rule", "warmer[0]", schedule_expression="rate(5 minutes)"),
        *(resource(at, "aws_cloudwatch_event_target", f"warmer[{n}]", input=ping) for n in range(3)),
        resource("module.stack", "aws_cloudwatch_event_rule", "sweep", schedule_expression="rate(1 hour)"),
        resource("module.stack", "aws_cloudwatch_event_target", "sweep"),
        *(resource(api, "aws_appautoscaling_scheduled_action", "this", **values) for values in actions(START, STOP)),
        resource(api, "aws_appautoscaling_policy", "tracked[0]"),
    ]
    found = deployment.read({"planned_values": {"root_module": {"resources": resources}}})
    assert found.workers["mine"].function.warmth == Warmth(3 * 8640, 205)
    assert (found.api.warmth.snapshot, found.api.provisioned) == (True, pytest.approx(100 / 168))
    assert found.sweeps_per_month == 720, "the warmer's rule starts no sweeper"
    assert found.per_resource == {"cloudwatch_alarm_month": 2}
    assert found.unpriced == ()


def bill(kept: Warmth, per_day: float) -> dict[str, float]:
    of_snapshots = {"snapshot_gb_seconds": Item(0.000001), "snapshot_restored_gb": Item(0.0001)}
    priced = replace(PRICES, items={**PRICES.items, **of_snapshots})
    worker = replace(WORKER, function=replace(WORKER.function, warmth=kept))
    return priced.bill(month(replace(DEPLOYMENT, workers={"mine": worker}), Traffic(), MEASURED, per_day))


def test_pings_are_billed_and_prevent_cold_starts() -> None:
    pings = Warmth(pings_per_month=1_000_000, ping_ms=205)
    # 1 M x 0.205 s x 2 GB = 410,000 GB-s -> $4.10; + $0.20
    assert bill(pings, 0)["warmer"] == pytest.approx(4.3)
    # One an hour: what is left is the api function's
    assert bill(pings, 24)["cold starts"] == pytest.approx(bill(Warmth(), 24)["cold starts"] * 0.4 / 1.4)


def test_a_snapshot_is_kept_and_restored() -> None:
    snapshot = Warmth(snapshot=True)
    assert bill(snapshot, 0)["SnapStart"] == pytest.approx(2 * 2_592_000 * 0.000001)
    starts = bill(Warmth(), 24)["cold starts"] / (1.4 * 0.00001)
    assert bill(snapshot, 24)["SnapStart"] == pytest.approx(2 * 2_592_000 * 0.000001 + starts * 2 * 0.0001)
