"""The deployer's policy in the docs has the right to create whatever the Terraform creates."""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

import pytest

from scripts.console import ROOT

CREATES = {
    "aws_apigatewayv2_api": "apigateway:POST",
    "aws_apigatewayv2_authorizer": "apigateway:POST",
    "aws_apigatewayv2_integration": "apigateway:POST",
    "aws_apigatewayv2_route": "apigateway:POST",
    "aws_apigatewayv2_stage": "apigateway:POST",
    "aws_appautoscaling_policy": "application-autoscaling:PutScalingPolicy",
    "aws_appautoscaling_scheduled_action": "application-autoscaling:PutScheduledAction",
    "aws_appautoscaling_target": "application-autoscaling:RegisterScalableTarget",
    "aws_cloudfront_distribution": "cloudfront:CreateDistribution",
    "aws_cloudfront_origin_access_control": "cloudfront:CreateOriginAccessControl",
    "aws_cloudwatch_dashboard": "cloudwatch:PutDashboard",
    "aws_cloudwatch_event_rule": "events:PutRule",
    "aws_cloudwatch_event_target": "events:PutTargets",
    "aws_cloudwatch_log_group": "logs:CreateLogGroup",
    "aws_cloudwatch_log_metric_filter": "logs:PutMetricFilter",
    "aws_cloudwatch_metric_alarm": "cloudwatch:PutMetricAlarm",
    "aws_default_security_group": "ec2:RevokeSecurityGroupIngress",
    "aws_dynamodb_table": "dynamodb:CreateTable",
    "aws_ecr_lifecycle_policy": "ecr:PutLifecyclePolicy",
    "aws_ecr_repository": "ecr:CreateRepository",
    "aws_ecr_repository_policy": "ecr:SetRepositoryPolicy",
    "aws_iam_policy": "iam:CreatePolicy",
    "aws_iam_role": "iam:CreateRole",
    "aws_iam_role_policy": "iam:PutRolePolicy",
    "aws_iam_role_policy_attachment": "iam:AttachRolePolicy",
    "aws_lambda_alias": "lambda:CreateAlias",
    "aws_lambda_event_source_mapping": "lambda:CreateEventSourceMapping",
    "aws_lambda_function": "lambda:CreateFunction",
    "aws_lambda_function_event_invoke_config": "lambda:PutFunctionEventInvokeConfig",
    "aws_lambda_permission": "lambda:AddPermission",
    "aws_lambda_provisioned_concurrency_config": "lambda:PutProvisionedConcurrencyConfig",
    "aws_route_table": "ec2:CreateRouteTable",
    "aws_route_table_association": "ec2:AssociateRouteTable",
    "aws_s3_bucket": "s3:CreateBucket",
    "aws_s3_bucket_cors_configuration": "s3:PutBucketCORS",
    "aws_s3_bucket_lifecycle_configuration": "s3:PutLifecycleConfiguration",
    "aws_s3_bucket_notification": "s3:PutBucketNotification",
    "aws_s3_bucket_ownership_controls": "s3:PutBucketOwnershipControls",
    "aws_s3_bucket_policy": "s3:PutBucketPolicy",
    "aws_s3_bucket_public_access_block": "s3:PutBucketPublicAccessBlock",
    "aws_s3_bucket_server_side_encryption_configuration": "s3:PutEncryptionConfiguration",
    "aws_s3_bucket_versioning": "s3:PutBucketVersioning",
    "aws_security_group": "ec2:CreateSecurityGroup",
    "aws_sns_topic": "sns:CreateTopic",
    "aws_sns_topic_policy": "sns:SetTopicAttributes",
    "aws_sns_topic_subscription": "sns:Subscribe",
    "aws_sqs_queue": "sqs:CreateQueue",
    "aws_ssm_parameter": "ssm:PutParameter",
    "aws_subnet": "ec2:CreateSubnet",
    "aws_vpc": "ec2:CreateVpc",
    "aws_vpc_endpoint": "ec2:CreateVpcEndpoint",
    "aws_vpc_security_group_egress_rule": "ec2:AuthorizeSecurityGroupEgress",
    "aws_vpc_security_group_ingress_rule": "ec2:AuthorizeSecurityGroupIngress",
}
"""What AWS asks for when Terraform creates one."""

WITHOUT_RESOURCE = {
    *("WhoAmI", "EventSourceMappings", "AccessLogDelivery", "AlarmSubscriptions"),
    *("AutoScaling", "AutoScalingRole", "NetworkReads"),
}
"""Statements whose actions have no resource, none that is known before it exists, or one whose name is AWS's."""


TOOLS = {
    "dynamodb:PutItem": "table/PREFIX-api-keys",
    "dynamodb:Scan": "table/PREFIX-api-keys",
    "dynamodb:UpdateItem": "table/PREFIX-api-keys",
    "ecr:BatchDeleteImage": "repository/PREFIX-worker",
    "ecr:DescribeImages": "repository/PREFIX-worker",
    "lambda:GetFunction": "function:PREFIX-worker-mine:3",
    "lambda:ListVersionsByFunction": "function:PREFIX-worker-mine",
    "ssm:GetParametersByPath": "parameter/PREFIX/worker-images",
}
"""What the commands call that keep API keys, and that find and delete unused images, and of what."""


def statements() -> list[dict[str, Any]]:
    policy = json.loads((ROOT / "docs" / "deployer-policy.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def _resources(statement: dict[str, Any]) -> list[str]:
    return statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]


def resource_types() -> set[str]:
    # The state bucket is created before any deployment, by somebody with more rights.
    not_deployed = {".terraform", "bootstrap"}
    files = [path for path in (ROOT / "terraform").rglob("*.tf") if not not_deployed & set(path.parts)]
    texts = [path.read_text(encoding="utf-8") for path in files]
    return {name for text in texts for name in re.findall(r'^resource "(aws_\w+)"', text, re.MULTILINE)}


def test_every_resource_of_the_stack_may_be_created() -> None:
    allowed = [action for statement in statements() for action in statement["Action"]]
    types = resource_types()
    assert len(types) > 15
    assert types <= CREATES.keys(), "add what creating these needs, here and to docs/deployer-policy.json"
    wanted = {name: CREATES[name] for name in types}
    missing = {n: a for n, a in wanted.items() if not any(fnmatch.fnmatchcase(a, pattern) for pattern in allowed)}
    assert missing == {}


@pytest.mark.parametrize("action", TOOLS)
def test_the_commands_may_do_what_they_do(action: str) -> None:
    allowed = [
        statement
        for statement in statements()
        if any(fnmatch.fnmatchcase(action, pattern) for pattern in statement["Action"])
        and any(
            fnmatch.fnmatchcase(f"arn:aws:{action.split(':')[0]}:REGION:ACCOUNT:{TOOLS[action]}", resource)
            for resource in _resources(statement)
        )
    ]
    assert allowed


def test_rights_are_bound_to_the_stacks_names() -> None:
    for statement in statements():
        resources = _resources(statement)
        if statement["Sid"] in WITHOUT_RESOURCE:
            continue
        assert "*" not in resources, statement["Sid"]
        bound = (
            *("PREFIX", "STATE_BUCKET", "KEY_ID", "ec2:REGION:ACCOUNT", "cloudfront::ACCOUNT"),
            *(":REGION::/apis", ":REGION::/tags", "execute-api:REGION:ACCOUNT"),
        )
        assert all(any(part in resource for part in bound) for resource in resources), statement["Sid"]


def test_the_parameters_that_the_stack_reads_may_be_written() -> None:
    stack = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "terraform" / "stack").glob("*.tf"))
    paths = re.findall(r'^  \w+_path += "/\$\{var.name_prefix\}/([a-z-]+)/"$', stack, re.MULTILINE)
    (statement,) = [statement for statement in statements() if "ssm:PutParameter" in statement["Action"]]
    allowed = statement["Resource"]
    assert sorted(allowed) == sorted(f"arn:aws:ssm:REGION:ACCOUNT:parameter/PREFIX/{path}*" for path in paths)
    assert len(allowed) >= 2


def test_roles_are_passed_to_lambda_alone() -> None:
    (passing,) = [statement for statement in statements() if "iam:PassRole" in statement["Action"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


def test_the_key_is_used_by_way_of_services_alone() -> None:
    using = [
        statement for statement in statements() if any(action.startswith("kms:") for action in statement["Action"])
    ]
    assert [statement["Sid"] for statement in using] == ["Key"]
    services = {name.partition(".")[0] for name in using[0]["Condition"]["StringEquals"]["kms:ViaService"]}
    assert services == {"dynamodb", "ecr", "s3", "sqs"}
