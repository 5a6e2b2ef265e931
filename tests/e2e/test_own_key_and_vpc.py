"""A deployment in a VPC of the user's own, encrypted with a KMS key of theirs."""

from __future__ import annotations

from typing import Any

from tests.e2e.http_client import FINAL
from tests.e2e.own import PREFIX, Own
from tests.e2e.waiting import eventually


def test_everything_that_keeps_data_has_the_key(own: Own) -> None:
    deployment, key = own.deployment, own.kms_key_arn
    sqs, client = deployment.client("sqs"), deployment.client

    def key_of_queue(url: str) -> Any:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes.get("SqsManagedSseEnabled") != "true"
        return attributes["KmsMasterKeyId"]

    queues = sqs.list_queues(QueueNamePrefix=PREFIX)["QueueUrls"]
    names = [deployment.output("request_table"), deployment.output("api_keys")["table"]]
    tables = [client("dynamodb").describe_table(TableName=name)["Table"] for name in names]
    groups = [
        group for group in client("logs").describe_log_groups()["logGroups"] if f"/{PREFIX}" in group["logGroupName"]
    ]
    (repository,) = client("ecr").describe_repositories(repositoryNames=[f"{PREFIX}-worker"])["repositories"]
    topic = client("sns").get_topic_attributes(TopicArn=deployment.output("monitoring")["topic_arn"])["Attributes"]
    found = [
        *map(key_of_queue, queues),
        *(table["SSEDescription"]["KMSMasterKeyArn"] for table in tables),
        *(group.get("kmsKeyId") for group in groups),
        repository["encryptionConfiguration"]["kmsKey"],
        topic["KmsMasterKeyId"],
    ]
    assert len(found) == 5 + 2 + 9 + 1 + 1
    assert set(found) == {key}


def test_a_request_succeeds_and_nothing_is_left_to_change(own: Own) -> None:
    api = own.api(own.make_key("encrypted"))
    request_id = api.accepted({"text": "what a lovely day"})
    eventually("the request ends", 60, lambda: api.status(request_id).body["status"] in FINAL)
    assert api.status(request_id).body["status"] == "succeeded"
    assert own.deployment.changes() == {}


def test_every_function_is_in_the_vpc(own: Own) -> None:
    deployment, vpc = own.deployment, own.vpc
    for name in deployment.output("function_names").values():
        found = deployment.client("lambda").get_function_configuration(FunctionName=name)["VpcConfig"]
        assert sorted(found["SubnetIds"]) == sorted(vpc["subnet_ids"]), name
        assert found["SecurityGroupIds"] == vpc["security_group_ids"], name
