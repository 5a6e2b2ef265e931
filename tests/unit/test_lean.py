"""What the lean client takes from the environment, what it leaves to boto3, and that its rules are botocore's."""

from __future__ import annotations

import os
from typing import Any

import botocore.session
import pytest
from botocore.retries import quota, standard

from inference.aws import lean, retries
from inference.aws.connection import trace_header
from inference.aws.lean import LeanClient

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1"}


def lean_client(service: str = "sqs", **environment: str) -> LeanClient | None:
    return LeanClient.from_environment(service, {**KEYS, **environment}, 1, 3, 3)


def url_of(client: LeanClient | None) -> str:
    assert client is not None
    return str(client._host._url)


@pytest.mark.parametrize("service", ["sqs", "dynamodb"])
def test_endpoints_are_botocores_in_every_region(service: str) -> None:
    session = botocore.session.Session()
    session.set_credentials("a", "b")
    regions = [region for name in session.get_available_partitions() for region in _regions(session, service, name)]
    assert len(regions) > 30
    left_to_boto3 = []
    for region in regions:
        client = LeanClient.from_environment(service, {**KEYS, "AWS_DEFAULT_REGION": region}, 1, 3, 3)
        if client is None:
            left_to_boto3.append(region)
            continue
        theirs = session.create_client(service, region_name=region).meta.endpoint_url
        assert url_of(client) == f"{theirs}:443/", region
    assert all(region.startswith(("us-iso", "eu-iso", "eusc-")) for region in left_to_boto3)


def _regions(session: Any, service: str, partition: str) -> list[str]:
    return list(session.get_available_regions(service, partition))


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566/"),
        ({"AWS_ENDPOINT_URL": "http://LocalHost:4566/"}, "http://localhost:4566/"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_SQS": "https://b.c"}, "https://b.c:443/"),
        ({"AWS_ENDPOINT_URL": "", "AWS_USE_FIPS_ENDPOINT": "false"}, "https://sqs.eu-central-1.amazonaws.com:443/"),
        ({"AWS_CONFIG_FILE": os.devnull, "AWS_ENDPOINT_URL": "http://a:1"}, "http://a:1/"),
        ({"AWS_DEFAULT_REGION": "", "AWS_REGION": "us-west-2"}, "https://sqs.us-west-2.amazonaws.com:443/"),
        ({"AWS_REGION": "us-west-2"}, "https://sqs.eu-central-1.amazonaws.com:443/"),  # as boto3 has it
    ],
)
def test_takes_its_endpoint_from_the_environment(environment: dict[str, str], url: str) -> None:
    assert url_of(lean_client(**environment)) == url


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_DEFAULT_REGION": ""},
        {"AWS_DEFAULT_REGION": "us-iso-east-1"},
        {"AWS_PROFILE": "work"},
        {"AWS_CONFIG_FILE": "/home/me/aws"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "True"},
        {"https_proxy": "http://proxy:3128"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL": "http://host:1/path"},
        {"AWS_ENDPOINT_URL": "http://user@host"},
        {"AWS_ENDPOINT_URL": "http://[::1]:4566"},
        {"AWS_ENDPOINT_URL": "http://host:port"},
        {"AWS_ENDPOINT_URL": "ftp://host"},
        {"AWS_ENDPOINT_URL": "host"},
    ],
    ids=str,
)
def test_leaves_the_rest_to_boto3(environment: dict[str, str]) -> None:
    assert lean_client(**environment) is None


def test_has_the_operations_of_its_service_alone() -> None:
    client = lean_client("sqs")
    assert hasattr(client, "send_message")
    assert not hasattr(client, "put_item")
    assert not hasattr(client, "get_paginator")


def test_retries_what_botocore_retries() -> None:
    transient, throttled = standard.TransientRetryableChecker, standard.ThrottledRetryableChecker
    codes = {*transient._TRANSIENT_ERROR_CODES, *throttled._THROTTLED_ERROR_CODES}
    session = botocore.session.Session()
    for service, operations in lean._OPERATIONS.items():
        model = session.get_service_model(service)
        for operation in operations.values():
            shapes = model.operation_model(operation).error_shapes
            codes |= {shape.name for shape in shapes if shape.metadata.get("retryable") is not None}
    assert codes == retries.RETRIED_CODES
    assert set(transient._TRANSIENT_STATUS_CODES) == retries.RETRIED_STATUSES
    checker = standard.RetryQuotaChecker(quota.RetryQuota())
    assert (checker._RETRY_COST, checker._TIMEOUT_RETRY_REQUEST) == (retries.RETRY_COST, retries.RETRY_COST_TIMEOUT)
    assert quota.RetryQuota.INITIAL_CAPACITY == retries.RETRY_CAPACITY
    assert checker._NO_RETRY_INCREMENT == retries.REFUND_WITHOUT_RETRY
    assert standard.ExponentialBackoff._MAX_BACKOFF == retries.MAX_BACKOFF_SECONDS


def test_the_trace_is_passed_on_in_lambda_alone() -> None:
    in_lambda = {"AWS_LAMBDA_FUNCTION_NAME": "f", "_X_AMZN_TRACE_ID": "Root=1-2;Sampled=0"}
    assert trace_header(in_lambda) == "x-amzn-trace-id: Root=1-2;Sampled=0\r\n"
    assert trace_header({"_X_AMZN_TRACE_ID": "Root=1"}) == ""
    assert trace_header({"AWS_LAMBDA_FUNCTION_NAME": "f"}) == ""
    assert trace_header({**in_lambda, "_X_AMZN_TRACE_ID": "a\r\nevil: b"}) == ""
