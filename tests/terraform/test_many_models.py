"""Many models in one stack: what AWS limits is split, compressed, or rejected when it is planned."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from inference.settings import ApiSettings, BatchesSettings, DeadLettersSettings, SweeperSettings
from scripts.bench.stack_sizes import exceeded, sizes
from tests.terraform.plans import ACCOUNT, REGION, Plan, PlanOf

pytestmark = pytest.mark.terraform

MODELS = tuple(f"classifier-{number:03}" for number in range(60))
"""More than the fifty whose queues are in inline policies, with more than a thousand characters of names. `make bench
ONLY=growth` plans two hundred, which takes minutes."""

MOST = 200
QUEUES = {f"arn:aws:sqs:{REGION}:{ACCOUNT}:inference-dev-{model}" for model in MODELS}


@pytest.fixture(scope="module")
def plan(plan_of: PlanOf) -> Plan:
    """Sixty models with a queue, a worker and alarms each."""
    return plan_of("dev", *MODELS, monitoring={"alarms": True, "dashboard": True})


def test_two_hundred_models_are_within_awss_limits(plan: Plan) -> None:
    """What is split has a part for each fifty or hundred models; what grows with each model has grown by sixty here."""
    found = sizes(plan.raw)
    assert exceeded(found) == []
    assert found["managed policies of a role"] == 1
    more = MOST - len(MODELS)
    grown = found | {
        name: found[name] + more * each
        for name, each in {"roles (of an account)": 1, "alarms (of an account)": 4}.items()
    }
    compressed = base64.b64encode(gzip.compress(json.dumps({f"classifier-{n:03}": "x" for n in range(MOST)}).encode()))
    grown["environment of a function, characters"] += len(compressed)
    grown["managed policies of a role"] = MOST // 50 - 1
    assert exceeded(grown) == []


@pytest.mark.parametrize(
    ("role", "action"),
    [("api", "sqs:SendMessage"), ("batches", "sqs:SendMessage"), ("sweeper", "sqs:GetQueueAttributes")],
)
def test_each_function_of_all_models_may_use_each_queue(plan: Plan, role: str, action: str) -> None:
    allowed: set[str] = set()
    for actions, resources in plan.rights()[role]:
        if actions == {action}:
            allowed |= resources
    assert allowed >= QUEUES
    assert {resource.rpartition(":")[2].removeprefix("inference-dev-") for resource in allowed - QUEUES} <= {
        *("batches", "dlq"),
    }


def test_the_functions_read_what_is_compressed(plan: Plan) -> None:
    functions = {
        values["function_name"].removeprefix("inference-dev-"): values["environment"][0]["variables"]
        for values in plan.of("aws_lambda_function").values()
    }
    for name, kind in {
        "api": ApiSettings,
        "batches": BatchesSettings,
        "dead-letters": DeadLettersSettings,
        "sweeper": SweeperSettings,
    }.items():
        settings = kind.from_environment(functions[name])
        assert vars(settings)["models"] == {model: model for model in MODELS}, name
    with pytest.raises(json.JSONDecodeError):
        json.loads(functions["api"]["MODELS"])
