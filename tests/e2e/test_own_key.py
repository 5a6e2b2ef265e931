"""A deployment that is encrypted with a KMS key of the user's own, made with the documented key policy."""

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


def create_key(deployment: Deployment) -> str:
    policy = (ROOT / "docs" / "key-policy.json").read_text(encoding="utf-8")
    for name, value in {"REGION": "us-east-1", "ACCOUNT": "000000000000", "PREFIX": PREFIX}.items():
        policy = policy.replace(name, value)
    arn: str = deployment.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(scope="module")
def own(emulator: Emulator, tree: Path) -> Iterator[tuple[Deployment, str]]:
    """The deployment, and its key's ARN."""
    folder = tree / "terraform" / "environments" / "own"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*")
    shutil.copytree(folder.with_name("local"), folder, ignore=ignored, dirs_exist_ok=True)
    deployment = Deployment(folder, emulator, tree)
    key = create_key(deployment)
    deployment.override(name_prefix=PREFIX, kms_key_arn=key, monitoring={"alarms": True})
    with aimed_at(emulator):
        deployment.apply()
        yield deployment, key
        deployment.destroy()
        assert PREFIX not in str(deployment.left())


def test_everything_that_keeps_data_has_the_key(own: tuple[Deployment, str]) -> None:
    deployment, key = own
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


def test_a_request_succeeds_and_nothing_is_left_to_change(own: tuple[Deployment, str]) -> None:
    deployment, _ = own
    api = Api(deployment.base_url)
    request_id = api.accepted({"text": "what a lovely day"})
    eventually("the request ends", 60, lambda: api.status(request_id).body["status"] in FINAL)
    assert api.status(request_id).body["status"] == "succeeded"
    assert deployment.changes() == {}
