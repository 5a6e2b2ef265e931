"""Plans with more than the default: what is added, and that nothing else changes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inference.settings import ApiSettings, CallbacksSettings, IntakeSettings, ResultsSettings
from tests import openapi
from tests.terraform.plans import ACCOUNT, REGION, Plan, PlanOf
from tests.terraform.stacks import CALLER, MODELS, OBJECTS, ROUTES, SECRETS, SETTINGS, TRIGGERS, backends

pytestmark = pytest.mark.terraform

CALLBACKS_ROUTE = "POST /callbacks/{model}/{request_id}/{number}/{signature}"


def test_a_model_that_is_added_changes_nothing_of_another(plan_of: PlanOf) -> None:
    def of_sentiment(plan: Plan) -> dict[str, Any]:
        return {a: r["change"] for a, r in plan.resources.items() if '["sentiment"]' in a}

    before, after = plan_of("dev"), plan_of("dev", *MODELS)
    assert of_sentiment(before)
    assert of_sentiment(before) == of_sentiment(after)
    added = after.resources.keys() - before.resources.keys()
    assert added
    assert all('["tiny"]' in address for address in added)
    shared = {a: r["change"] for a, r in before.resources.items() if '["sentiment"]' not in a}
    changed = {a for a, change in shared.items() if after.resources[a]["change"] != change}
    functions = (
        r"module\.stack\.module\.(api|batches|dead_letters|sweeper)\.(aws_lambda_function|aws_iam_role_policy)\b"
    )
    allowed = functions + r"|module\.stack\.module\.dead_letter_queue\.aws_sqs_queue\b"
    assert all(re.match(allowed, address) for address in changed), changed


def test_fifty_models_fit(plan_of: PlanOf) -> None:
    plan = plan_of("prod", *(f"model-of-a-team-{number:02d}" for number in range(50)))
    assert len(plan.of("aws_sqs_queue")) == 52, "with the dead-letter queue, and that of batches from files"
    for address, values in plan.of("aws_lambda_function").items():
        variables = values["environment"][0]["variables"]
        assert sum(len(name) + len(value) for name, value in variables.items()) <= 4096, address
    for role, policies in plan.policies().items():
        assert sum(len(json.dumps(p, separators=(",", ":"))) for p in policies.values()) <= 10240, role


def test_a_model_at_a_provider_has_a_dispatcher_and_its_queue_allows_a_look_every_few_seconds(
    plan_of: PlanOf, inputs_of: Path
) -> None:
    plan = plan_of("dev", *MODELS, models=backends(str(inputs_of)))
    functions = {values["function_name"]: values for values in plan.of("aws_lambda_function").values()}
    for model in MODELS:
        worker = functions[f"inference-dev-worker-{model}"]
        assert (worker["handler"], worker["timeout"]) == ("worker.dispatch_handler.handler", 60)
        (queue,) = [each for each in plan.of("aws_sqs_queue").values() if each["name"] == f"inference-dev-{model}"]
        assert queue["visibility_timeout_seconds"] == 360
    mappings = plan.of("aws_lambda_event_source_mapping")
    assert mappings['module.stack.module.worker["tiny"].aws_lambda_event_source_mapping.queue']["batch_size"] == 1
    CallbacksSettings.from_environment(functions["inference-dev-callbacks"]["environment"][0]["variables"])
    routes = {route["route_key"]: route["authorization_type"] for route in plan.of("aws_apigatewayv2_route").values()}
    assert routes.keys() == {*ROUTES, CALLBACKS_ROUTE}
    assert routes[CALLBACKS_ROUTE] == "NONE"


def test_webhooks_add_what_they_need_and_touch_no_worker(plan_of: PlanOf) -> None:
    before, after = plan_of("dev"), plan_of("dev", webhooks={"secret_arn": SECRETS[0]})
    added = after.resources.keys() - before.resources.keys()
    others = {address for address in added if not address.startswith("module.stack.module.webhooks[0].")}
    assert others == {
        f'module.stack.module.http_api.aws_{kind}["{route}"]'
        for kind in ("apigatewayv2_route.this", "lambda_permission.route")
        for route in openapi.ROUTES - ROUTES
    }
    assert added != others
    changed = {
        address
        for address, resource in before.resources.items()
        if after.resources[address]["change"] != resource["change"]
    }
    functions = r"module\.stack\.module\.(api|sweeper)\.(aws_lambda_function|aws_iam_role_policy)\b"
    allowed = functions + r"|module\.stack\.module\.request_table\.aws_dynamodb_table\b"
    assert all(re.match(allowed, address) for address in changed), changed
    variables = {
        values["function_name"].rpartition("-")[2]: values["environment"][0]["variables"]
        for values in after.of("aws_lambda_function").values()
    }
    for role in ("relay", "deliverer", "sweeper"):
        SETTINGS[role].from_environment(variables[role])
    assert ApiSettings.from_environment(variables["api"]).webhooks is not None
    (table,) = after.of("aws_dynamodb_table").values()
    assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_IMAGE")


def test_triggers_add_what_they_need_and_no_right_to_other_workers(plan_of: PlanOf) -> None:
    before, after = plan_of("dev", *MODELS), plan_of("dev", *MODELS, triggers=TRIGGERS)
    added = after.resources.keys() - before.resources.keys()
    own = ("module.stack.module.triggers[0].", "module.stack.module.object_bucket[0].")
    others = {address for address in added if not address.startswith(own)}
    assert others == {'module.stack.module.worker["tiny"].module.function.aws_iam_role_policy.capability["sources"]'}
    assert before.resources.keys() <= after.resources.keys()
    queues = {values["name"]: values for values in after.of("aws_sqs_queue").values()}
    assert {"inference-dev-intake", "inference-dev-intake-dlq"} <= queues.keys()
    (statement,) = [
        each for each in json.loads(queues["inference-dev-intake"]["policy"])["Statement"] if each["Sid"] == "Rules"
    ]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/inference-dev-trigger-"
    assert sorted(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == [arn + "scans", arn + "uploads"]
    (table,) = after.of("aws_dynamodb_table").values()
    assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_IMAGE")
    variables = {
        values["function_name"].removeprefix("inference-dev-"): values["environment"][0]["variables"]
        for values in after.of("aws_lambda_function").values()
    }
    intake = IntakeSettings.from_environment(variables["intake"])
    assert intake.triggers["uploads"].results is not None
    assert intake.triggers["scans"].caller == CALLER
    assert ResultsSettings.from_environment(variables["results"]).triggers == intake.triggers
    alone = plan_of("dev", *MODELS, triggers={"scans": TRIGGERS["scans"]})
    names = {values["function_name"] for values in alone.of("aws_lambda_function").values()}
    assert "inference-dev-intake" in names
    assert "inference-dev-results" not in names
    assert not alone.of("aws_s3_bucket_notification"), "another bucket's notifications are not this stack's"


def test_a_cdn_reads_the_results_of_the_stacks_bucket_alone(plan_of: PlanOf) -> None:
    uploads = {**TRIGGERS["uploads"], "results": {"prefix": "out/", "cdn": {"price_class": "PriceClass_200"}}}
    plan = plan_of("dev", *MODELS, triggers={"uploads": uploads})
    (distribution,) = plan.of("aws_cloudfront_distribution").values()
    assert distribution["price_class"] == "PriceClass_200"
    (origin,) = distribution["origin"]
    assert origin["domain_name"].startswith(f"{OBJECTS}.s3.{REGION}.")
    buckets = plan.of("aws_s3_bucket_public_access_block").values()
    assert len(buckets) == 2
    assert all(each["restrict_public_buckets"] and each["block_public_policy"] for each in buckets)
