"""Reads a worker's log, for the reason why an invocation was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

MAX_PAGES = 10
MAX_LINES = 200
MAX_FOUND = 1_000


def read_lines(
    client: Any, group: str, invocation_id: str, since: int, report: Callable[[Exception], None] = lambda _: None
) -> Sequence[str]:
    """What the log group has of one invocation, since a time (epoch ms).

    The last lines of a process that ends (a traceback, a message of the allocator, a timeout in some formats) do not
    contain the id, but they are in the same stream, before the next invocation starts. If a model prints a lot, only
    the first lines are read, and those with the id, which are Lambda's own. If the log can't be read, the result is
    empty and `report` gets the error: the request must end whether or not the reason is found.
    """
    try:
        found = list(islice(_found(client, group, invocation_id, since), MAX_FOUND))
        if not found:
            return ()
        first = found[0]
        answer = client.get_log_events(
            logGroupName=group,
            logStreamName=first["logStreamName"],
            startTime=first["timestamp"],
            startFromHead=True,
            limit=MAX_LINES,
        )
    except (ClientError, BotoCoreError) as error:
        report(error)
        return ()
    lines = list(_of_invocation([event["message"] for event in answer["events"]], invocation_id))
    return lines + [event["message"] for event in found if event["message"] not in lines]


def _found(client: Any, group: str, invocation_id: str, since: int) -> Iterator[dict[str, Any]]:
    """The events that contain the id. An empty page need not be the last one."""
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'"{invocation_id}"', startTime=since
    )
    for page in islice(pages, MAX_PAGES):
        yield from page["events"]


def _of_invocation(lines: Sequence[str], invocation_id: str) -> Iterator[str]:
    """The lines from the first with the id to the start of another invocation."""
    inside = False
    for line in lines:
        if invocation_id in line:
            inside = True
        elif "START RequestId:" in line or '"platform.start"' in line:  # text or JSON format
            inside = False
        if inside:
            yield line
