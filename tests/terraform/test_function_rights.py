"""Plans of the environments: what each function may do, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rights import rights
from tests.terraform.plans import ACCOUNT, REGION, PlanOf, as_list
from tests.terraform.runner import ENVIRONMENTS
from tests.terraform.stacks import (
    ARTIFACT_KEY,
    ENCRYPTED,
    KEY,
    MODELS,
    OBJECTS,
    SECRETS,
    SOURCES,
    TOKENS,
    TRIGGERS,
    backends,
)

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({}, {}),
        (
            ENCRYPTED,
            {"key": KEY, "artifact": ("models", "all/1.onnx"), "artifact_key": ARTIFACT_KEY, "api_keys": True},
        ),
        ({"webhooks": {"secret_arn": SECRETS[0]}}, {"secret": SECRETS[0]}),
        (
            {"kms_key_arn": KEY, "webhooks": {"secret_arn": SECRETS[1], "secret_kms_key_arn": ARTIFACT_KEY}},
            {"key": KEY, "secret": SECRETS[1], "secret_key": ARTIFACT_KEY},
        ),
        ({"triggers": TRIGGERS}, {"sources": SOURCES, "results": f"{OBJECTS}/out/"}),
        (
            {"kms_key_arn": KEY, "webhooks": {"secret_arn": SECRETS[0]}, "triggers": TRIGGERS},
            {"key": KEY, "secret": SECRETS[0], "sources": SOURCES, "results": f"{OBJECTS}/out/"},
        ),
    ],
    ids=["default", "encrypted, with keys", "webhooks", "webhooks encrypted", "triggers", "triggers encrypted"],
)
def test_each_function_has_exactly_its_rights(plan_of: PlanOf, settings: Any, more: Any) -> None:
    found = plan_of("dev", *MODELS, **settings).rights()
    expected = rights("inference-dev", REGION, ACCOUNT, MODELS, **more)
    assert found.keys() == expected.keys()
    for role, allowed in expected.items():
        assert len(found[role]) == len(allowed)
        assert all(right in found[role] for right in allowed), f"{role}: {found[role]}"


def test_a_synchronous_function_may_read_its_artifact_and_nothing_else(plan_of: PlanOf) -> None:
    read = {"artifact": "s3://models/all/1.onnx", "read_kms_key_arns": [ARTIFACT_KEY]}
    models = {
        "with-artifact": {"source": "sentiment", **read, "sync": {}},
        "plain": {"source": "sentiment", "sync": {}},
    }
    plan = plan_of("dev", models=models, default_model="plain", kms_key_arn=KEY)
    found = plan.rights()
    own = {"key": KEY, "sync": ["with-artifact"], "artifact": ("models", "all/1.onnx"), "artifact_key": ARTIFACT_KEY}
    expected = rights("inference-dev", REGION, ACCOUNT, [], **own)["sync-with-artifact"]
    assert len(found["sync-with-artifact"]) == len(expected)
    assert all(right in found["sync-with-artifact"] for right in expected)
    assert found["sync-plain"] == rights("inference-dev", REGION, ACCOUNT, [], sync=["plain"])["sync-plain"]


@pytest.mark.parametrize("key", [None, KEY])
def test_dispatchers_and_the_callbacks_function_have_exactly_their_rights(
    plan_of: PlanOf, inputs_of: Path, key: str | None
) -> None:
    token_key = ARTIFACT_KEY if key else None
    settings: Any = {"models": backends(str(inputs_of), **({"token_kms_key_arn": token_key} if key else {}))}
    plan = plan_of("dev", *MODELS, **settings, **({"kms_key_arn": key} if key else {}))
    found = plan.rights()
    expected = rights("inference-dev", REGION, ACCOUNT, MODELS, key=key, backends=TOKENS, token_key=token_key)
    assert found.keys() == expected.keys()
    for role, allowed in expected.items():
        assert len(found[role]) == len(allowed), role
        assert all(right in found[role] for right in allowed), f"{role}: {found[role]}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_right_is_on_everything(plan_of: PlanOf, environment: str) -> None:
    for role, policies in plan_of(environment).policies().items():
        for statement in (statement for policy in policies.values() for statement in policy):
            for resource in as_list(statement["Resource"]):
                exact = resource.removesuffix(":*").removesuffix(f":/aws/lambda/inference-{environment}-worker-*")
                if exact.startswith(f"arn:aws:s3:::inference-{environment}-payloads-{ACCOUNT}-{REGION}/"):
                    exact = exact.partition("/")[0]  # the objects of requests, which have their ids in their keys
                assert "*" not in exact, f"{role}: {resource}"
            for action in as_list(statement["Action"]):
                assert "*" not in action, f"{role}: {action}"
                assert action != "logs:CreateLogGroup", f"{role}: Terraform makes the log groups"


def test_lambda_may_pull_for_the_workers_of_the_stack_alone(plan_of: PlanOf) -> None:
    (policy,) = plan_of("dev").of("aws_ecr_repository_policy").values()
    (statement,) = json.loads(policy["policy"])["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert set(statement["Action"]) == {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    workers = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:inference-dev-worker-*"
    assert statement["Condition"] == {"StringLike": {"aws:SourceArn": workers}}
