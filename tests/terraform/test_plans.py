"""Plans of the environments: rights, queues, aliases, logs. Each of the reference document's defects has its test."""

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from inference.settings import (
    ApiSettings,
    AuthorizerSettings,
    BatchesSettings,
    CallbacksSettings,
    DeadLettersSettings,
    DelivererSettings,
    IntakeSettings,
    RelaySettings,
    ResultsSettings,
    Settings,
    SweeperSettings,
    WorkerSettings,
)
from scripts.cost import deployment
from scripts.stack_defaults import defaults
from tests import openapi
from tests.rights import rights
from tests.terraform.plans import ACCOUNT, DIGEST, PARTITIONS, REGION, Plan, as_list
from tests.terraform.runner import ENVIRONMENTS, ROOT

pytestmark = pytest.mark.terraform

PlanOf = Callable[..., Plan]

MODELS = ("sentiment", "tiny")

ROUTES = openapi.ROUTES - {"POST /requests/{request_id}/webhook", "POST /batches/{batch_id}/webhook"}
"""Of an environment without webhooks."""

KEY, ARTIFACT_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("stack", "artifacts"))
API_KEYS: dict[str, Any] = {"authorizer": {"type": "API_KEY"}}
JWT: dict[str, Any] = {"authorizer": {"type": "JWT", "issuer": "https://issuer.example", "audience": ["inference"]}}
ENCRYPTED: dict[str, Any] = {
    "kms_key_arn": KEY,
    "each": {"artifact": "s3://models/all/1.onnx", "read_kms_key_arns": [ARTIFACT_KEY]},
    "monitoring": {"alarms": True, "access_log": True},
    **API_KEYS,
}


SECRETS = [
    f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:hooks-AbCdEf",
    f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/hooks/secret",
]


OBJECTS = f"inference-dev-objects-{ACCOUNT}-{REGION}"
CALLER = f"iam:arn:aws:sts::{ACCOUNT}:assumed-role/app"
TRIGGERS: dict[str, Any] = {
    "uploads": {"prefix": "in/", "models": ["tiny"], "place": "image", "caller": CALLER, "results": {"prefix": "out/"}},
    "scans": {"bucket": "scans", "suffix": ".png", "models": ["tiny"], "place": "image", "caller": CALLER},
}
SOURCES = {"tiny": [f"{OBJECTS}/in/", "scans/"]}


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


TOKENS = {
    "sentiment": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:runpod-AbCdEf",
    "tiny": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cog/token",
}
CALLBACKS_ROUTE = "POST /callbacks/{model}/{request_id}/{number}/{signature}"


def backends(inputs: str, **more: Any) -> Any:
    """`models` of two GPU providers."""
    given = {
        "sentiment": {"kind": "runpod", "endpoint": "abc123", "token_secret_arn": TOKENS["sentiment"]},
        "tiny": {"kind": "cog", "url": "https://gpu.example.com", "token_secret_arn": TOKENS["tiny"]},
    }
    return {name: {"models_dir": inputs, "backend": given[name] | more} for name in given}


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


def test_a_webhook_is_sent_again_where_there_are_webhooks(plan_of: PlanOf) -> None:
    routes = plan_of("dev", *MODELS, webhooks={"secret_arn": SECRETS[0]}).of("aws_apigatewayv2_route").values()
    assert {route["route_key"] for route in routes} == openapi.ROUTES


def test_without_lists_there_is_no_right_route_or_index_for_them(plan_of: PlanOf) -> None:
    plan = plan_of("dev", *MODELS, requests={"list_by_caller": False})
    rights_of_api = [actions for actions, _ in plan.rights()["api"]]
    assert not any(actions & {"dynamodb:Query"} for actions in rights_of_api)
    assert "GET /requests" not in {route["route_key"] for route in plan.of("aws_apigatewayv2_route").values()}
    (table,) = plan.of("aws_dynamodb_table").values()
    assert {index["name"] for index in table["global_secondary_index"]} == {"open", "webhooks"}


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


def test_the_key_encrypts_everything(plan_of: PlanOf) -> None:
    plan = plan_of("dev", *MODELS, **ENCRYPTED)
    tables = plan.of("aws_dynamodb_table").values()
    assert {table["name"] for table in tables} == {"inference-dev-requests", "inference-dev-api-keys"}
    (repository,) = plan.of("aws_ecr_repository").values()
    (bucket,) = plan.of("aws_s3_bucket_server_side_encryption_configuration").values()
    keys = [
        *(sse["kms_key_arn"] for table in tables for sse in table["server_side_encryption"]),
        *(encryption["kms_key"] for encryption in repository["encryption_configuration"]),
        *(
            default["kms_master_key_id"]
            for rule in bucket["rule"]
            for default in rule["apply_server_side_encryption_by_default"]
        ),
    ]
    for kind, argument, count in (
        ("aws_sqs_queue", "kms_master_key_id", len(MODELS) + 2),
        ("aws_cloudwatch_log_group", "kms_key_id", len(MODELS) + 6),
        ("aws_sns_topic", "kms_master_key_id", 1),
    ):
        found = [values[argument] for values in plan.of(kind).values()]
        assert len(found) == count, kind
        keys += found
    assert set(keys) == {KEY}


def test_the_documented_key_policy_lets_each_log_be_encrypted_and_no_other(plan_of: PlanOf) -> None:
    text = (ROOT / "docs" / "key-policy.json").read_text(encoding="utf-8")
    for name, value in {"REGION": REGION, "ACCOUNT": ACCOUNT, "PREFIX": "inference-dev"}.items():
        text = text.replace(name, value)
    policy = {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}
    patterns = policy["Logs"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
    for values in plan_of("dev", *MODELS, **ENCRYPTED).of("aws_cloudwatch_log_group").values():
        assert any(fnmatchcase(groups + values["name"], pattern) for pattern in patterns), values["name"]
    assert not any(fnmatchcase(f"{groups}/aws/lambda/inference-prod-api", pattern) for pattern in patterns)
    assert policy["Logs"]["Principal"] == {"Service": f"logs.{REGION}.amazonaws.com"}


def test_a_models_disk_reaches_its_function_alone(plan_of: PlanOf) -> None:
    for address, values in plan_of("dev", *MODELS).of("aws_lambda_function").items():
        assert values["ephemeral_storage"] == [{"size": 1024 if ".worker[" in address else 512}], address


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


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_queues_follow_the_timeouts_of_their_functions(plan_of: PlanOf, environment: str) -> None:
    plan = plan_of(environment)
    timeouts = {v["function_name"]: v["timeout"] for v in plan.of("aws_lambda_function").values()}
    queues = {values["name"]: values for values in plan.of("aws_sqs_queue").values()}
    prefix = f"inference-{environment}-"
    queue, dlq = queues[f"{prefix}sentiment"], queues[f"{prefix}dlq"]
    assert queue["visibility_timeout_seconds"] == 6 * timeouts[f"{prefix}worker-sentiment"] + 3
    assert dlq["visibility_timeout_seconds"] >= 6 * timeouts[f"{prefix}dead-letters"]
    assert dlq["message_retention_seconds"] >= queue["message_retention_seconds"]
    batches = queues[f"{prefix}batches"]
    assert batches["visibility_timeout_seconds"] == 6 * timeouts[f"{prefix}batches"]
    grace = defaults("sweeper")["grace_seconds"]
    assert batches["visibility_timeout_seconds"] < grace, "a step is repeated before its items count as lost"
    mapping = plan.of("aws_lambda_event_source_mapping")[
        'module.stack.module.worker["sentiment"].aws_lambda_event_source_mapping.queue'
    ]
    assert mapping["maximum_batching_window_in_seconds"] == 3


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_queues_reject_what_does_not_come_by_tls(plan_of: PlanOf, environment: str) -> None:
    for name, values in plan_of(environment).of("aws_sqs_queue").items():
        (statement,) = json.loads(values["policy"])["Statement"]
        assert statement["Effect"] == "Deny", name
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, name
        assert statement["Resource"].endswith(f":{values['name']}"), name
        assert values["sqs_managed_sse_enabled"], name


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


def test_an_access_log_is_there_where_it_is_asked_for(plan_of: PlanOf) -> None:
    (stage,) = plan_of("dev").of("aws_apigatewayv2_stage").values()
    assert stage["access_log_settings"] == []
    plan = plan_of("dev", monitoring={"access_log": True})
    (stage,) = plan.of("aws_apigatewayv2_stage").values()
    (log,) = stage["access_log_settings"]
    assert json.loads(log["format"])["request_id"] == "$context.requestId"
    groups = {values["name"] for values in plan.of("aws_cloudwatch_log_group").values()}
    assert "/aws/apigateway/inference-dev" in groups


def test_lambda_logs_each_invocation_of_a_worker_alone_unless_debugging(plan_of: PlanOf) -> None:
    def formats(plan: Plan) -> dict[str, tuple[str, str | None]]:
        functions = plan.of("aws_lambda_function").values()
        configs = {function["function_name"]: function["logging_config"][0] for function in functions}
        return {name: (config["log_format"], config["system_log_level"]) for name, config in configs.items()}

    found = formats(plan_of("dev"))
    worker = "inference-dev-worker-sentiment"
    assert found == dict.fromkeys(found, ("JSON", "WARN")) | {worker: ("Text", None)}, "dead_letters reads a worker's"
    assert {log_format for log_format, _ in formats(plan_of("dev", log_level="DEBUG")).values()} == {"Text"}


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


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_images_are_deployed_by_digest_from_immutable_tags(plan_of: PlanOf, environment: str) -> None:
    plan = plan_of(environment)
    (repository,) = plan.of("aws_ecr_repository").values()
    assert repository["image_tag_mutability"] == "IMMUTABLE"
    images = [v["image_uri"] for v in plan.of("aws_lambda_function").values() if v["package_type"] == "Image"]
    assert images == [f"repository@{DIGEST}"]


def test_lambda_may_pull_for_the_workers_of_the_stack_alone(plan_of: PlanOf) -> None:
    (policy,) = plan_of("dev").of("aws_ecr_repository_policy").values()
    (statement,) = json.loads(policy["policy"])["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert set(statement["Action"]) == {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    workers = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:inference-dev-worker-*"
    assert statement["Condition"] == {"StringLike": {"aws:SourceArn": workers}}


def test_no_image_expires_that_a_function_may_use(plan_of: PlanOf) -> None:
    (lifecycle,) = plan_of("dev").of("aws_ecr_lifecycle_policy").values()
    rules = json.loads(lifecycle["policy"])["rules"]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged"]


@pytest.mark.parametrize(
    ("region", "suffix"),
    [("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com"), ("eusc-de-east-1", "amazonaws.eu")],
)
def test_arns_and_urls_are_those_of_the_partition(plan_of: PlanOf, region: str, suffix: str) -> None:
    planned = json.dumps(plan_of("dev", region=region).resources)
    assert set(re.findall(r"arn:(aws[a-z-]*):", planned)) == {PARTITIONS[region]}
    assert set(re.findall(r"https://[^/]*", planned)) == {f"https://sqs.{region}.{suffix}"}


def test_the_laptop_runs_zips(plan_of: PlanOf) -> None:
    assert {v["package_type"] for v in plan_of("local").of("aws_lambda_function").values()} == {"Zip"}


def test_payloads_outlive_their_requests_by_a_day(plan_of: PlanOf) -> None:
    (lifecycle,) = plan_of("dev").of("aws_s3_bucket_lifecycle_configuration").values()
    (rule,) = lifecycle["rule"]
    requests = defaults("requests")
    days = (requests["deadline_seconds"] + requests["retention_seconds"]) // 86_400 + 1
    assert (rule["status"], rule["expiration"][0]["days"]) == ("Enabled", days)


@pytest.mark.parametrize(("environment", "protected"), [("local", False), ("dev", False), ("prod", True)])
def test_the_table_keeps_and_forgets(plan_of: PlanOf, environment: str, protected: bool) -> None:
    (table,) = plan_of(environment).of("aws_dynamodb_table").values()
    assert table["deletion_protection_enabled"] is protected
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert table["point_in_time_recovery"][0]["enabled"]
    assert table["server_side_encryption"][0]["enabled"]
    assert table["ttl"] == [{"attribute_name": "delete_at", "enabled": True}]


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


SETTINGS: dict[str, type[Settings]] = {
    "api": ApiSettings,
    "batches": BatchesSettings,
    "dead-letters": DeadLettersSettings,
    "authorizer": AuthorizerSettings,
    "deliverer": DelivererSettings,
    "relay": RelaySettings,
    "sweeper": SweeperSettings,
}


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
