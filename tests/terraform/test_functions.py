"""Plans of the environments: functions, their aliases, images, settings and logs."""

import json
import re

import pytest

from inference.settings import WorkerSettings
from tests.terraform.plans import DIGEST, PARTITIONS, Plan, PlanOf
from tests.terraform.runner import ENVIRONMENTS
from tests.terraform.stacks import MODELS, SETTINGS

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_function_has_a_role_and_a_log_group_of_its_own(plan_of: PlanOf, environment: str) -> None:
    plan = plan_of(environment)
    functions = {values["function_name"] for values in plan.of("aws_lambda_function").values()}
    prefix = f"inference-{environment}-"
    assert functions == {prefix + role for role in ("api", "batches", "dead-letters", "sweeper", "worker-sentiment")}
    assert {values["name"] for values in plan.of("aws_iam_role").values()} == functions
    groups = {values["name"]: values["retention_in_days"] for values in plan.of("aws_cloudwatch_log_group").values()}
    assert groups.keys() == {f"/aws/lambda/{name}" for name in functions}
    assert all(days > 0 for days in groups.values()), "0 would keep logs without a limit"


def test_the_log_group_is_there_before_the_function(plan_of: PlanOf) -> None:
    function = plan_of("dev").module("stack", "api")["resources"]
    waits = next(r["depends_on"] for r in function if r["address"] == "aws_lambda_function.this")
    assert "aws_cloudwatch_log_group.this" in waits


def test_lambda_logs_each_invocation_of_a_worker_alone_unless_debugging(plan_of: PlanOf) -> None:
    def formats(plan: Plan) -> dict[str, tuple[str, str | None]]:
        functions = plan.of("aws_lambda_function").values()
        configs = {function["function_name"]: function["logging_config"][0] for function in functions}
        return {name: (config["log_format"], config["system_log_level"]) for name, config in configs.items()}

    found = formats(plan_of("dev"))
    worker = "inference-dev-worker-sentiment"
    assert found == dict.fromkeys(found, ("JSON", "WARN")) | {worker: ("Text", None)}, "dead_letters reads a worker's"
    assert {log_format for log_format, _ in formats(plan_of("dev", log_level="DEBUG")).values()} == {"Text"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_function_publishes_and_is_used_by_its_alias(plan_of: PlanOf, environment: str) -> None:
    plan = plan_of(environment)
    functions = plan.of("aws_lambda_function")
    assert all(values["publish"] for values in functions.values())
    aliases = plan.of("aws_lambda_alias")
    assert {values["name"] for values in aliases.values()} == {"live"}
    assert {values["function_name"] for values in aliases.values()} == {v["function_name"] for v in functions.values()}
    permissions = plan.of("aws_lambda_permission").values()
    assert permissions
    assert {values["qualifier"] for values in permissions} == {"live"}


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        ("aws_lambda_event_source_mapping", "function_name"),
        ("aws_cloudwatch_event_target", "arn"),
        ("aws_apigatewayv2_integration", "integration_uri"),
        ("aws_lambda_provisioned_concurrency_config", "qualifier"),
    ],
)
def test_what_invokes_a_function_names_its_alias(plan_of: PlanOf, kind: str, argument: str) -> None:
    found = plan_of("dev").references(kind, argument)
    assert found
    for place, references in found.items():
        to_a_queue = "module.queue.arn" in references  # of triggers' events, which a function reads by its alias
        assert to_a_queue or any("alias" in reference for reference in references), f"{place}: {references}"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_images_are_deployed_by_digest_from_immutable_tags(plan_of: PlanOf, environment: str) -> None:
    plan = plan_of(environment)
    (repository,) = plan.of("aws_ecr_repository").values()
    assert repository["image_tag_mutability"] == "IMMUTABLE"
    images = [v["image_uri"] for v in plan.of("aws_lambda_function").values() if v["package_type"] == "Image"]
    assert images == [f"repository@{DIGEST}"]


def test_no_image_expires_that_a_function_may_use(plan_of: PlanOf) -> None:
    (lifecycle,) = plan_of("dev").of("aws_ecr_lifecycle_policy").values()
    rules = json.loads(lifecycle["policy"])["rules"]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged"]


def test_the_laptop_runs_zips(plan_of: PlanOf) -> None:
    assert {v["package_type"] for v in plan_of("local").of("aws_lambda_function").values()} == {"Zip"}


def test_a_models_disk_reaches_its_function_alone(plan_of: PlanOf) -> None:
    for address, values in plan_of("dev", *MODELS).of("aws_lambda_function").items():
        assert values["ephemeral_storage"] == [{"size": 1024 if ".worker[" in address else 512}], address


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_setting_of_a_function_is_set_and_no_other(plan_of: PlanOf, environment: str) -> None:
    for values in plan_of(environment).of("aws_lambda_function").values():
        variables = values["environment"][0]["variables"]
        role = values["function_name"].removeprefix(f"inference-{environment}-")
        settings = SETTINGS.get(role, WorkerSettings)
        settings.from_environment(variables)
        known = {name.upper() for name in settings.declared()}
        optional = {"MODEL_ARTIFACTS", "METRICS_ENVIRONMENT", "POOL", "WEBHOOKS", "WEBHOOK_QUEUE_URL"}
        assert variables.keys() | (optional & known) == known, role


@pytest.mark.parametrize(
    ("region", "suffix"),
    [("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com"), ("eusc-de-east-1", "amazonaws.eu")],
)
def test_arns_and_urls_are_those_of_the_partition(plan_of: PlanOf, region: str, suffix: str) -> None:
    planned = json.dumps(plan_of("dev", region=region).resources)
    assert set(re.findall(r"arn:(aws[a-z-]*):", planned)) == {PARTITIONS[region]}
    assert set(re.findall(r"https://[^/]*", planned)) == {f"https://sqs.{region}.{suffix}"}
