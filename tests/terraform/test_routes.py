"""Plans of the environments: the HTTP API's routes, who may call them, and its access log."""

import json
from typing import Any

import pytest

from inference.settings import AuthorizerSettings
from scripts.cost import deployment
from tests import openapi
from tests.terraform.plans import PlanOf
from tests.terraform.stacks import API_KEYS, JWT, MODELS, ROUTES, SECRETS

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize(("environment", "authorization"), [("local", "NONE"), ("dev", "AWS_IAM"), ("prod", "AWS_IAM")])
def test_the_api_is_closed_and_throttled(plan_of: PlanOf, environment: str, authorization: str) -> None:
    plan = plan_of(environment)
    routes = plan.of("aws_apigatewayv2_route").values()
    assert {route["route_key"] for route in routes} == ROUTES
    open_routes = {route["route_key"] for route in routes if route["authorization_type"] == "NONE"}
    assert open_routes == (ROUTES if authorization == "NONE" else openapi.OPEN_ROUTES)
    closed = {route["authorization_type"] for route in routes if route["route_key"] not in openapi.OPEN_ROUTES}
    assert closed == {authorization}
    (api,) = plan.of("aws_apigatewayv2_api").values()
    assert api["cors_configuration"] == []
    (stage,) = plan.of("aws_apigatewayv2_stage").values()
    (limits,) = stage["default_route_settings"]
    assert limits["throttling_burst_limit"] > 0
    assert limits["throttling_rate_limit"] > 0


@pytest.mark.parametrize(
    ("settings", "authorization", "authorizer"),
    [({}, "AWS_IAM", None), (JWT, "JWT", "JWT"), (API_KEYS, "CUSTOM", "REQUEST")],
    ids=["AWS_IAM", "JWT", "API_KEY"],
)
def test_each_authorizer_closes_every_route_that_is_not_open(
    plan_of: PlanOf, settings: Any, authorization: str, authorizer: str | None
) -> None:
    plan = plan_of("dev", **settings)
    routes = {route["route_key"]: route["authorization_type"] for route in plan.of("aws_apigatewayv2_route").values()}
    assert routes == {key: "NONE" if key in openapi.OPEN_ROUTES else authorization for key in ROUTES}
    found = [values["authorizer_type"] for values in plan.of("aws_apigatewayv2_authorizer").values()]
    assert found == ([authorizer] if authorizer else [])
    functions = [values["function_name"] for values in plan.of("aws_lambda_function").values()]
    tables = [values["name"] for values in plan.of("aws_dynamodb_table").values()]
    assert ("inference-dev-authorizer" in functions) == (authorizer == "REQUEST")
    assert ("inference-dev-api-keys" in tables) == (authorizer == "REQUEST")


def test_the_authorizer_ends_before_api_gateway_stops_waiting(plan_of: PlanOf) -> None:
    functions = plan_of("dev", **API_KEYS).of("aws_lambda_function")
    (authorizer,) = [each for each in functions.values() if each["function_name"] == "inference-dev-authorizer"]
    assert authorizer["timeout"] < 10
    AuthorizerSettings.from_environment(authorizer["environment"][0]["variables"])


def test_the_authorizer_is_in_the_bill(plan_of: PlanOf) -> None:
    found = deployment.read(plan_of("dev", **API_KEYS).raw)
    assert found.authorizer is not None
    assert (found.authorizer.name, found.cache_seconds) == ("inference-dev-authorizer", 60)
    assert {function.name for function in found.others} == {
        f"inference-dev-{role}" for role in ("batches", "dead-letters", "sweeper")
    }
    assert found.unpriced == ()


@pytest.mark.parametrize(("docs", "description", "page"), [("open", "NONE", "NONE"), ("off", None, None)])
def test_who_may_read_the_description(plan_of: PlanOf, docs: str, description: str | None, page: str | None) -> None:
    plan = plan_of("dev", *MODELS, api={"docs": docs})
    found = {route["route_key"]: route["authorization_type"] for route in plan.of("aws_apigatewayv2_route").values()}
    assert (found.get("GET /openapi.json"), found.get("GET /docs")) == (description, page)
    assert found["GET /models"] == "AWS_IAM"
    (environment,) = plan.of("aws_lambda_function")["module.stack.module.api.aws_lambda_function.this"]["environment"]
    deployed = json.loads(environment["variables"]["DEPLOYED"])
    assert deployed["authorizer"] == "AWS_IAM"
    off = ["/docs", "/openapi.json"] if docs == "off" else []
    assert deployed["without"] == [*off, "/requests/{request_id}/webhook", "/batches/{batch_id}/webhook"]
    assert deployed["open_paths"] == (["/openapi.json"] if docs == "open" else [])
    may_upload = plan.of("aws_s3_bucket_cors_configuration")
    assert len(may_upload) == (0 if docs == "off" else 1), "the page uploads, from an origin that no first plan knows"


def test_without_lists_there_is_no_right_route_or_index_for_them(plan_of: PlanOf) -> None:
    plan = plan_of("dev", *MODELS, requests={"list_by_caller": False})
    rights_of_api = [actions for actions, _ in plan.rights()["api"]]
    assert not any(actions & {"dynamodb:Query"} for actions in rights_of_api)
    assert "GET /requests" not in {route["route_key"] for route in plan.of("aws_apigatewayv2_route").values()}
    (table,) = plan.of("aws_dynamodb_table").values()
    assert {index["name"] for index in table["global_secondary_index"]} == {"open", "webhooks"}


def test_each_model_with_sync_has_its_routes_and_a_function_with_time_to_answer(plan_of: PlanOf) -> None:
    models = {"one": {"source": "sentiment", "sync": {"timeout_seconds": 12}}, "two": {"source": "sentiment"}}
    plan = plan_of("dev", models=models, default_model="one")
    routes = plan.of("aws_apigatewayv2_route").values()
    added = {route["route_key"]: route["authorization_type"] for route in routes if "/models/one" in route["route_key"]}
    assert added == dict.fromkeys(
        ("POST /models/one/predict", "POST /models/one/batch", "GET /models/one/health"), "AWS_IAM"
    )
    assert not any("/models/two" in route["route_key"] for route in routes)
    (function,) = (
        each for each in plan.of("aws_lambda_function").values() if each["function_name"] == "inference-dev-sync-one"
    )
    assert (function["timeout"], function["handler"]) == (12, "worker.sync.handler.handler")
    (policy,) = plan.of("aws_ecr_repository_policy").values()
    assert ":function:inference-dev-sync-*" in policy["policy"], "Lambda pulls its image too"


def test_a_webhook_is_sent_again_where_there_are_webhooks(plan_of: PlanOf) -> None:
    routes = plan_of("dev", *MODELS, webhooks={"secret_arn": SECRETS[0]}).of("aws_apigatewayv2_route").values()
    assert {route["route_key"] for route in routes} == openapi.ROUTES


def test_an_access_log_is_there_where_it_is_asked_for(plan_of: PlanOf) -> None:
    (stage,) = plan_of("dev").of("aws_apigatewayv2_stage").values()
    assert stage["access_log_settings"] == []
    plan = plan_of("dev", monitoring={"access_log": True})
    (stage,) = plan.of("aws_apigatewayv2_stage").values()
    (log,) = stage["access_log_settings"]
    assert json.loads(log["format"])["request_id"] == "$context.requestId"
    groups = {values["name"] for values in plan.of("aws_cloudwatch_log_group").values()}
    assert "/aws/apigateway/inference-dev" in groups
