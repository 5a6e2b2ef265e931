"""Functions on the emulator: each has a /tmp of its own, and one that uses more memory than it has is killed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from inference.diagnosis import _reason_from_log
from inference.requests import ErrorCode
from scripts.local.emulator import Emulator

CODE = """
import os, pathlib, tempfile

def handler(event, context):
    place = pathlib.Path(tempfile.gettempdir())
    (place / os.environ["AWS_LAMBDA_FUNCTION_VERSION"]).touch()
    hoard = bytearray(event["megabytes"] * 2**20)
    hoard[::4096] = b"x" * len(hoard[::4096])
    return {"tmp": str(place), "files": sorted(path.name for path in place.iterdir()), "size": len(hoard)}
"""
MEMORY_MB = 256

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no memory limit but on Linux")


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Callable[[str], Any]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    session = boto3.Session(**keys, region_name="us-east-1")
    return lambda service: session.client(service, endpoint_url=emulator.endpoint)


@pytest.fixture(scope="module")
def invoke(client: Callable[[str], Any]) -> Callable[[str, int], Any]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("main.py", CODE)
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client("iam").create_role(RoleName="functions", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    functions = client("lambda")
    for name in ("one", "two"):
        functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="main.handler",
            Code={"ZipFile": file.getvalue()},
            MemorySize=MEMORY_MB,
            Timeout=20,
        )

    def invoke(name: str, megabytes: int) -> Any:
        name, _, version = name.partition(":")
        if version:
            assert functions.publish_version(FunctionName=name)["Version"] == version
        answer = functions.invoke(
            FunctionName=name,
            Qualifier=version or "$LATEST",
            Payload=json.dumps({"megabytes": megabytes}).encode(),
        )
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    return invoke


def test_functions_do_not_see_each_others_files(invoke: Callable[[str, int], Any]) -> None:
    (_, one), (_, two) = invoke("one", 1), invoke("two", 1)
    assert one["tmp"] != two["tmp"]
    assert one["files"] == two["files"] == ["$LATEST"]


def test_a_version_does_not_see_the_files_of_another(invoke: Callable[[str, int], Any]) -> None:
    (_, latest), (_, published) = invoke("one", 1), invoke("one:1", 1)
    assert (latest["files"], published["files"]) == (["$LATEST"], ["1"])


def test_one_that_uses_more_memory_than_it_has_is_killed_and_its_log_says_so(
    invoke: Callable[[str, int], Any], client: Callable[[str], Any]
) -> None:
    assert invoke("one", MEMORY_MB // 2)[0] is None
    error, _ = invoke("one", 4 * MEMORY_MB)
    assert error is not None
    pages = client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/one")
    lines = [event["message"] for page in pages for event in page["events"]]
    (killed,) = [line for line in lines if "signal: killed" in line]
    request_id = killed.split()[1]
    (report,) = [line for line in lines if line.startswith(f"REPORT RequestId: {request_id}")]
    assert f"Memory Size: {MEMORY_MB} MB\tMax Memory Used: {MEMORY_MB} MB" in report
    code, text = _reason_from_log([killed, report])
    assert code is ErrorCode.OUT_OF_MEMORY
    assert "raise memory_mb" in text
    assert invoke("one", 1)[0] is None, "the next invocation starts anew"


def test_the_report_has_the_functions_own_peak(invoke: Callable[[str, int], Any], client: Callable[[str], Any]) -> None:
    assert invoke("two", 100)[0] is None
    pages = client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/two")
    reports = [e["message"] for page in pages for e in page["events"] if e["message"].startswith("REPORT")]
    used = int(reports[-1].rpartition("Max Memory Used: ")[2].split()[0])
    assert 100 < used < 200
