"""Reading a killed invocation's lines from its log stream, on moto."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from inference.aws import clients
from inference.aws.log_reader import read_lines
from inference.diagnosis import diagnose
from inference.requests import ErrorCode, Status
from tests.integration.aws_faults import ALWAYS, KINDS, AwsFault, injected
from tests.unit.samples import a_record

GROUP, STREAM = "/aws/lambda/p-worker-m", "2027/01/15/[7]abc"
ONE, TWO = "8f507cfc-7f6a-4f1f-9d0e-3d2f8c3f1a11", "0b9f3d0e-1111-4c57-9a3e-0d6b7f3a9c11"


@pytest.fixture
def since(on_moto: None) -> Iterator[int]:
    """A log group; when its events are."""
    logs = clients.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    yield time.time_ns() // 1_000_000
    logs.delete_log_group(logGroupName=GROUP)


def write(since: int, *lines: str) -> None:
    events = [{"timestamp": since + number, "message": line} for number, line in enumerate(lines)]
    clients.client("logs").put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)


def read(since: int, invocation: str = ONE) -> list[str]:
    return list(read_lines(clients.client("logs"), GROUP, invocation, since))


def test_the_lines_of_an_invocation_with_those_that_do_not_name_it(since: int) -> None:
    mine = [f"START RequestId: {ONE} Version: 7", "Traceback (most recent call last):", f"END RequestId: {ONE}"]
    theirs = [f"START RequestId: {TWO} Version: 7", "MemoryError", f"END RequestId: {TWO}"]
    write(since, "INIT_START Runtime Version: python:3.13", *mine, *theirs)
    assert read(since) == mine
    assert read(since, TWO) == theirs


def test_a_timeout_is_found(since: int) -> None:
    write(since, f"START RequestId: {ONE}", f"2027-01-15T08:00:30.104Z {ONE} Task timed out after 30.03 seconds")
    record = a_record(status=Status.RUNNING, attempts=1, invocation_id=ONE, started_at=since - 5)
    failure = diagnose(record, GROUP, lambda *asked: read_lines(clients.client("logs"), *asked))
    assert failure.code is ErrorCode.TIMEOUT


def test_lines_from_before_do_not_count(since: int) -> None:
    write(since, f"START RequestId: {ONE}")
    assert read(since + 1) == []


def test_an_unknown_invocation_or_group_has_no_lines(since: int) -> None:
    write(since, f"START RequestId: {ONE}")
    assert read(since, TWO) == []
    assert list(read_lines(clients.client("logs"), "/aws/lambda/none", ONE, since)) == []


@pytest.mark.parametrize("operation", ["FilterLogEvents", "GetLogEvents"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_cannot_be_read_has_no_lines(since: int, operation: str, kind: str) -> None:
    write(since, f"START RequestId: {ONE}")
    with injected(AwsFault(operation, kind, times=ALWAYS)):
        assert read(since) == []
