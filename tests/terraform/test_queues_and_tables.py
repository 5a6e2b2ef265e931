"""Plans of the environments: queues, tables and buckets; their times, and who can read what is in them."""

import json
from fnmatch import fnmatchcase

import pytest

from scripts.stack_defaults import defaults
from tests.terraform.plans import ACCOUNT, REGION, PlanOf
from tests.terraform.runner import ENVIRONMENTS, ROOT
from tests.terraform.stacks import ENCRYPTED, KEY, MODELS

pytestmark = pytest.mark.terraform


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
