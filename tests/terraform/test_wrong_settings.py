"""A wrong setting of an environment is rejected at plan, once, with its name and what would be right."""

import re
from typing import Any

import pytest

from tests.terraform.plans import PlanOf
from tests.terraform.runner import SOURCE, Terraform

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (
            {"sentiment": {"memory_mb": 2048}, "mine": {"source": "sentiment", "memmory_mb": 1}},
            r"models: mine has memmory_mb, which is no setting\. There are artifact, .*memory_mb",
        ),
        (
            {"sentiment": {}, "mine": {"source": "sentiment", "memory_mb": 64}},
            r"Model mine: memory_mb must be a whole number from 128",
        ),
        (
            {"sentiment": {}, "mine": {"source": "sentiment", "timeout_seconds": 1000}},
            r"models: timeout_seconds must be a whole number from 3 to 900; given are mine = 1000\.",
        ),
        (
            {
                "sentiment": {},
                "mine": {"source": "sentiment", "environment": {"AWS_REGION": "x", "AWS_ENDPOINT_URL": "y"}},
            },
            r"Model mine: environment must not set AWS_REGION: Lambda sets it\.",
        ),
        (
            {"sentiment": {}, "mine": {"source": "sentiment", "environment": {"QUEUE_URL": "x"}}},
            r"Model mine: environment must not set QUEUE_URL: the stack sets it\.",
        ),
        (
            {"sentiment": {}, "mine": {"source": "sentiment", "read_buckets": ["s3://inputs/mine"]}},
            r"Model mine: read_buckets must be s3://bucket/prefix/ with a slash at the end .*: s3://inputs/mine\.",
        ),
        ({"sentiment": {}, "mine": {}}, r"models: no manifest of mine: "),
        (
            {"sentiment": {}, "mine": {"source": "sentiment", "timeout_seconds": "long", "read_buckets": "s3://b/"}},
            r"models: mine\.read_buckets must be a list, mine\.timeout_seconds must be a number or null\.",
        ),
        ({"sentiment": {}, "mine": "sentiment"}, r"models: mine must be an object, such as \{\}\."),
        (
            {"sentiment": {}, "mine": {"source": "sentiment", "package": {"zip": {"pth": "x"}}}},
            r"models: the package of mine must be \{ zip = \{ path, handler, runtime \} \} or",
        ),
    ],
    ids=[
        "misspelt",
        "wrong",
        "in the queue too",
        "Lambda's",
        "the stack's",
        "no prefix",
        "no manifest",
        "another kind",
        "no object",
        "package",
    ],
)
def test_a_wrong_setting_is_told_with_its_model(
    terraform: Terraform, plan_of: PlanOf, models: dict[str, Any], told: str
) -> None:
    folder = {"models_dir": str(SOURCE.parent / "worker" / "models")}
    given = {
        name: {**folder, **settings} if isinstance(settings, dict) else settings for name, settings in models.items()
    }
    _told_once(terraform, plan_of, {"models": given}, told)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"requests": {"max_atempts": 3}},
            r"requests has max_atempts, which is no setting\. There are deadline_seconds, .*max_attempts",
        ),
        ({"requests": {"max_attempts": "many"}}, r"requests: max_attempts must be a number\."),
        ({"api": {"memory_mb": None}}, r"api: memory_mb must be a number\."),
        (
            {"authorizer": {"type": "NONE", "isuer": "x"}},
            r"authorizer has isuer, which is no setting\. There are audience",
        ),
        ({"cors": {"allow_origins": "https://a.example"}}, r"cors: allow_origins must be a list\."),
        (
            {"monitoring": {"alarm": True}},
            r"monitoring has alarm, which is no setting\. There are access_log, alarm_models, alarms, ",
        ),
        (
            {"monitoring": {"alarms": True, "alarm_models": ["absent"]}},
            r"monitoring\.alarm_models has absent, which is no model\.",
        ),
    ],
    ids=["misspelt", "text for a number", "null", "authorizer", "cors", "monitoring", "alarms of no model"],
)
def test_a_wrong_setting_of_the_stack_is_told(
    terraform: Terraform, plan_of: PlanOf, settings: dict[str, Any], told: str
) -> None:
    _told_once(terraform, plan_of, settings, told)


def _told_once(terraform: Terraform, plan_of: PlanOf, settings: dict[str, Any], told: str) -> None:
    plan_of("local")  # its packages are there for the plan below
    before = terraform.overridden("environments/local")
    try:
        with pytest.raises(AssertionError) as failed:
            terraform.plan("environments/local", before | settings)
    finally:
        terraform.override("environments/local", before)
    shown = str(failed.value)
    assert re.search(told, " ".join(shown.split()))
    assert shown.count("Error: ") == 1, "one mistake is told once"
