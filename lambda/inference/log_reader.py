"""Reads a worker's log: the lines of a killed invocation are all that tells of its end."""

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

    The last lines of a process that ends (a traceback, an allocator's complaint, a timeout in some formats) do not
    carry the id, but they stand in the invocation's stream before the next one starts. Of a model that prints a lot the
    first lines are read, and what carries the id: Lambda's own lines about the end. An unreadable log gives no lines,
    and `report` its error: a request has to end whether or not the reason can be found.
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
    """The events that carry the id; a page may be empty and yet not be the last."""
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'"{invocation_id}"', startTime=since
    )
    for page in islice(pages, MAX_PAGES):
        yield from page["events"]


def _of_invocation(lines: Sequence[str], invocation_id: str) -> Iterator[str]:
    """The lines from the first that carries the id to the start of another invocation."""
    inside = False
    for line in lines:
        if invocation_id in line:
            inside = True
        elif "START RequestId:" in line or '"platform.start"' in line:  # text or JSON format
            inside = False
        if inside:
            yield line
