"""A deployment in a VPC of the user's own, encrypted with a KMS key of theirs, made with the documented key policy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.local.emulator import Emulator
from tests.e2e.conftest import ROOT, aimed_at
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import FINAL, Api
from tests.e2e.waiting import eventually

PREFIX = "inference-own"

Own = tuple[Deployment, str, dict[str, list[str]]]


def create_key(deployment: Deployment) -> str:
    policy = (ROOT / "docs" / "key-policy.json").read_text(encoding="utf-8")
    for name, value in {"REGION": "us-east-1", "ACCOUNT": "000000000000", "PREFIX": PREFIX}.items():
        policy = policy.replace(name, value)
    arn: str = deployment.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return arn


def create_vpc(deployment: Deployment) -> dict[str, list[str]]:
    ec2 = deployment.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{number}.0/24")["Subnet"]["SubnetId"] for number in range(2)
    ]
    group = ec2.create_security_group(VpcId=vpc, GroupName="functions", Description="of the test")["GroupId"]
    return {"subnet_ids": subnets, "security_group_ids": [group]}


@pytest.fixture(scope="module")
def own(emulator: Emulator, tree: Path) -> Iterator[Own]:
    """The deployment, its key's ARN and its VPC."""
    folder = tree / "terraform" / "environments" / "own"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*")
    shutil.copytree(folder.with_name("local"), folder, ignore=ignored, dirs_exist_ok=True)
    deployment = Deployment(folder, emulator, tree)
    key = create_key(deployment)
    vpc = create_vpc(deployment)
    deployment.override(name_prefix=PREFIX, kms_key_arn=key, vpc=vpc, monitoring={"alarms": True})
    with aimed_at(emulator):
        deployment.apply()
        yield deployment, key, vpc
        deployment.destroy()
        assert PREFIX not in str(deployment.left())


def test_everything_that_keeps_data_has_the_key(own: Own) -> None:
    deployment, key, _ = own
    sqs, client = deployment.client("sqs"), deployment.client

    def key_of_queue(url: str) -> Any:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes.get("SqsManagedSseEnabled") != "true"
        return attributes["KmsMasterKeyId"]

    queues = [*deployment.output("queue_urls").values(), deployment.output("dead_letter_queue_url")]
    table = client("dynamodb").describe_table(TableName=deployment.output("request_table"))["Table"]
    groups = [
        group for group in client("logs").describe_log_groups()["logGroups"] if f"/{PREFIX}" in group["logGroupName"]
    ]
    (repository,) = client("ecr").describe_repositories(repositoryNames=[f"{PREFIX}-worker"])["repositories"]
    topic = client("sns").get_topic_attributes(TopicArn=deployment.output("monitoring")["topic_arn"])["Attributes"]
    found = [
        *map(key_of_queue, queues),
        table["SSEDescription"]["KMSMasterKeyArn"],
        *(group.get("kmsKeyId") for group in groups),
        repository["encryptionConfiguration"]["kmsKey"],
        topic["KmsMasterKeyId"],
    ]
    assert len(found) == 2 + 1 + 5 + 1 + 1
    assert set(found) == {key}


def test_a_request_succeeds_and_nothing_is_left_to_change(own: Own) -> None:
    deployment, _, _ = own
    api = Api(deployment.base_url)
    request_id = api.accepted({"text": "what a lovely day"})
    eventually("the request ends", 60, lambda: api.status(request_id).body["status"] in FINAL)
    assert api.status(request_id).body["status"] == "succeeded"
    assert deployment.changes() == {}


def test_every_function_is_in_the_vpc(own: Own) -> None:
    deployment, _, vpc = own
    for name in deployment.output("function_names").values():
        found = deployment.client("lambda").get_function_configuration(FunctionName=name)["VpcConfig"]
        assert sorted(found["SubnetIds"]) == sorted(vpc["subnet_ids"]), name
        assert found["SecurityGroupIds"] == vpc["security_group_ids"], name
