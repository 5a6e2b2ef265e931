"""Which lines of a worker's log belong to an invocation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from inference.aws.log_reader import read_lines

ID, OTHER = "8f507cfc-7f6a-4f1f-9d0e-3d2f8c3f1a11", "11111111-7f6a-4f1f-9d0e-3d2f8c3f1a11"
GROUP = "/aws/lambda/inference-local-worker-sentiment"

LINES = [
    f"START RequestId: {OTHER} Version: 7",
    "somebody else's last words",
    f"END RequestId: {OTHER}",
    f"START RequestId: {ID} Version: 7",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    f"END RequestId: {ID}",
    f"REPORT RequestId: {ID}\tDuration: 1 ms",
    f"START RequestId: {OTHER} Version: 7",
    "a stranger's line",
]


class Logs:
    """One stream, in pages of which the first is empty, as CloudWatch does when it has looked enough."""

    def __init__(self, lines: list[str], error: ClientError | None = None) -> None:
        self._events: list[dict[str, Any]] = [
            {"message": line, "timestamp": number, "logStreamName": "s"} for number, line in enumerate(lines)
        ]
        self._error = error

    def get_paginator(self, operation: str) -> Logs:
        assert operation == "filter_log_events"
        return self

    def paginate(self, logGroupName: str, filterPattern: str, startTime: int) -> Iterator[dict[str, Any]]:
        assert (logGroupName, startTime) == (GROUP, 5)
        if self._error:
            raise self._error
        yield {"events": []}
        yield {"events": [event for event in self._events if filterPattern.strip('"') in event["message"]]}

    def get_log_events(self, **arguments: Any) -> dict[str, Any]:
        assert (arguments["logGroupName"], arguments["logStreamName"]) == (GROUP, "s")
        return {"events": self._events[arguments["startTime"] :][: arguments["limit"]]}


def test_the_lines_without_the_id_are_found_between_those_with_it() -> None:
    assert read_lines(Logs(LINES), GROUP, ID, 5) == LINES[3:7]


def test_json_platform_lines_part_invocations_too() -> None:
    lines = [
        '{"time": "1", "type": "platform.start", "record": {"requestId": "%s"}}' % ID,  # noqa: UP031 (braces)
        "Killed",
        '{"time": "2", "type": "platform.start", "record": {"requestId": "%s"}}' % OTHER,  # noqa: UP031
        "a stranger's line",
    ]
    assert read_lines(Logs(lines), GROUP, ID, 5) == lines[:2]


def test_the_end_of_an_invocation_that_printed_a_lot_is_found() -> None:
    killed = f"RequestId: {ID} Error: Runtime exited with error: signal: killed"
    report = f"REPORT RequestId: {ID}\tMemory Size: 128 MB\tMax Memory Used: 128 MB"
    lines = [*LINES[:4], *(f"epoch {number}" for number in range(10_000)), killed, report, *LINES[7:]]
    read = read_lines(Logs(lines), GROUP, ID, 5)
    assert read[:2] == [LINES[3], "epoch 0"]
    assert read[-2:] == [killed, report]
    assert len(read) < 300


def test_an_invocation_that_left_nothing() -> None:
    assert read_lines(Logs(LINES[:3]), GROUP, ID, 5) == ()


def test_a_log_that_may_not_be_read() -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "FilterLogEvents")
    reported: list[Exception] = []
    assert read_lines(Logs(LINES, error), GROUP, ID, 5, reported.append) == ()
    assert reported == [error]
