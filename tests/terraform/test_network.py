"""Plans with a VPC: where the functions are, what their roles may do, and what it costs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.cost import deployment
from tests.terraform.plans import ACCOUNT, REGION, PlanOf

pytestmark = pytest.mark.terraform

OWN: dict[str, Any] = {"vpc": {"subnet_ids": ["subnet-a", "subnet-b"], "security_group_ids": ["sg-functions"]}}
MADE: dict[str, Any] = {"vpc": {}}


def test_every_function_is_in_the_given_vpc(plan_of: PlanOf) -> None:
    plan = plan_of("dev", "sentiment", **OWN)
    for address, values in plan.of("aws_lambda_function").items():
        (config,) = values["vpc_config"]
        assert sorted(config["subnet_ids"]) == OWN["vpc"]["subnet_ids"], address
        assert config["security_group_ids"] == OWN["vpc"]["security_group_ids"], address
    assert plan.of("aws_vpc") == {}


def test_lambda_may_make_interfaces_by_each_role_and_the_functions_may_not(plan_of: PlanOf) -> None:
    plan = plan_of("dev", "sentiment", **OWN)
    for address, policies in plan.policies().items():
        reads, changes, denied = policies["network"]
        assert set(reads["Action"]) == {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}
        assert changes["Resource"] == f"arn:aws:ec2:{REGION}:{ACCOUNT}:*/*"
        assert (denied["Effect"], denied["Action"], denied["Resource"]) == ("Deny", "ec2:*", "*")
        name = plan.of("aws_iam_role")[f"{address}.aws_iam_role.this"]["name"]
        function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        assert denied["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": function}}


def test_without_a_vpc_no_role_may_do_anything_in_ec2(plan_of: PlanOf) -> None:
    plan = plan_of("dev")
    assert "ec2:" not in json.dumps(plan.policies())
    assert all(values["vpc_config"] == [] for values in plan.of("aws_lambda_function").values())


def test_the_vpc_that_is_made_has_no_way_to_the_internet(plan_of: PlanOf) -> None:
    plan = plan_of("dev", "sentiment", **MADE)
    kinds = {change["type"] for change in plan.resources.values()}
    assert not kinds & {"aws_internet_gateway", "aws_nat_gateway", "aws_route", "aws_egress_only_internet_gateway"}
    zones = {values["availability_zone"]: values["cidr_block"] for values in plan.of("aws_subnet").values()}
    assert zones == {f"{REGION}a": "10.0.0.0/25", f"{REGION}b": "10.0.0.128/25"}
    endpoints = {v["service_name"]: v["vpc_endpoint_type"] for v in plan.of("aws_vpc_endpoint").values()}
    prefix = f"com.amazonaws.{REGION}."
    assert endpoints == {
        f"{prefix}dynamodb": "Gateway",
        f"{prefix}s3": "Gateway",
        f"{prefix}logs": "Interface",
        f"{prefix}sqs": "Interface",
    }
    for values in plan.of("aws_vpc_endpoint").values():
        (statement,) = json.loads(values["policy"])["Statement"]
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}
    rules = [
        *plan.of("aws_vpc_security_group_egress_rule").values(),
        *plan.of("aws_vpc_security_group_ingress_rule").values(),
    ]
    assert len(rules) == 4
    assert all((rule["from_port"], rule["to_port"], rule["cidr_ipv4"]) == (443, 443, None) for rule in rules)


def test_the_functions_wait_for_the_endpoints(plan_of: PlanOf) -> None:
    plan = plan_of("dev", "sentiment", **MADE)
    output = plan.module("stack", "network")["outputs"]["subnet_ids"]
    assert {"aws_vpc_endpoint.gateway", "aws_vpc_endpoint.interface"} <= set(output["depends_on"])


@pytest.mark.parametrize(
    ("vpc", "hours"), [({}, 4), ({"zone_count": 3, "endpoints": ["sqs"]}, 3), ({"endpoints": []}, 0)]
)
def test_each_interface_endpoint_is_paid_for_once_a_zone(plan_of: PlanOf, vpc: Any, hours: int) -> None:
    found = deployment.read(plan_of("dev", "sentiment", vpc=vpc).raw)
    assert found.endpoints == hours
    assert found.unpriced == ()
