"""What keeps environments ready, in a plan that the real provider has made: it checks what the mock one does not."""

from __future__ import annotations

import json
import shutil

import pytest

from scripts.cost import deployment
from scripts.cost.warmth import Warmth
from tests.terraform.conftest import MANIFEST
from tests.terraform.plans import Json, Plan
from tests.terraform.runner import Terraform

pytestmark = pytest.mark.terraform

SCHEDULED = {
    "concurrency": 2,
    "start": "cron(0 8 ? * MON-FRI *)",
    "stop": "cron(0 18 ? * MON-FRI *)",
    "timezone": "UTC",
}
MODELS: dict[str, Json] = {
    "none": {},
    "fixed": {"provisioned": 2},
    "scheduled": {"scheduled": SCHEDULED},
    "tracked": {"tracking": {"min": 3, "max": 10}},
    "restored": {"snap_start": True},
    "pinged": {"warmer": {"environments": 3}},
}


@pytest.fixture(scope="module")
def planned(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The plan of a model for each way, as JSON."""
    inputs = tmp_path_factory.mktemp("warm-inputs")
    placeholder = inputs / "lambda.zip"
    placeholder.write_text("stands for a zip", encoding="utf-8")
    for name in MODELS:
        manifest = inputs / name / "manifest.json"
        manifest.parent.mkdir()
        manifest.write_text(json.dumps({"name": name} | MANIFEST), encoding="utf-8")
        shutil.copy(placeholder, inputs / f"worker-{name}.zip")
    settings = {
        "packages_dir": str(inputs),
        "default_model": "none",
        "models": {name: {"models_dir": str(inputs), "warmth": warmth} for name, warmth in MODELS.items()},
        "api": {"warmth": {"snap_start": True, "warmer": {}}},
    }
    before = terraform.overridden("environments/local")
    terraform.plan("environments/local", settings)
    found: Json = json.loads(terraform.run("environments/local", "show", "-json", "plan"))
    terraform.override("environments/local", before)
    return found


def test_each_way_is_its_own_functions_alone(planned: Json) -> None:
    plan = Plan(planned)
    kinds = ("aws_lambda_provisioned_concurrency_config", "aws_appautoscaling_target", "aws_appautoscaling_policy",
             "aws_appautoscaling_scheduled_action", "aws_lambda_function_event_invoke_config")  # fmt: skip
    found = {kind: sorted(_of(address) for address in plan.of(kind)) for kind in kinds}
    assert found == {
        "aws_lambda_provisioned_concurrency_config": ["fixed", "tracked"],
        "aws_appautoscaling_target": ["scheduled", "tracked"],
        "aws_appautoscaling_policy": ["tracked"],
        "aws_appautoscaling_scheduled_action": ["scheduled", "scheduled"],
        "aws_lambda_function_event_invoke_config": ["api", "pinged"],
    }
    restored = {address for address, values in plan.of("aws_lambda_function").items() if values["snap_start"]}
    assert {_of(address) for address in restored} == {"api", "restored"}
    targets = [_of(address) for address in plan.of("aws_cloudwatch_event_target") if "warmer" in address]
    assert sorted(targets) == ["api", "pinged", "pinged", "pinged"]


def test_only_its_rule_may_ping_a_function(planned: Json) -> None:
    pinging = {a: v for a, v in Plan(planned).of("aws_lambda_permission").items() if ".warmer[" in a}
    assert sorted(map(_of, pinging)) == ["api", "pinged"]
    for values in pinging.values():
        assert (values["principal"], values["action"]) == ("events.amazonaws.com", "lambda:InvokeFunction")
    rules = Plan(planned).references("aws_lambda_permission", "source_arn")
    (sources,) = [references for place, references in rules.items() if place.endswith(".warmer") and "api" in place]
    assert "aws_cloudwatch_event_rule.warmer[0].arn" in sources


def test_a_bill_counts_each_way(planned: Json) -> None:
    found = deployment.read(planned)
    kept = {name: worker.function.provisioned for name, worker in found.workers.items()}
    some = {"fixed": 2, "scheduled": pytest.approx(100 / 168), "tracked": 3}
    assert kept == dict.fromkeys(MODELS, 0) | some
    ways = {name: worker.function.warmth for name, worker in found.workers.items()}
    assert ways == dict.fromkeys(MODELS, Warmth()) | {
        "restored": Warmth(snapshot=True),
        "pinged": Warmth(3 * 8640, 205),
    }
    assert found.api.warmth == Warmth(8640, 5, snapshot=True)
    assert found.sweeps_per_month == 43_200, "the sweeper's own schedule: every minute"
    assert found.per_resource["cloudwatch_alarm_month"] == 2
    assert found.unpriced == ()


def _of(address: str) -> str:
    """The model of a resource's worker, or api."""
    return address.partition('.worker["')[2].partition('"')[0] or address.split(".")[3]
