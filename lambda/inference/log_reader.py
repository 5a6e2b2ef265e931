"""Reads a worker's log: Lambda's own lines about an invocation are the only witness of a killed one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

MAX_LINES = 50


def read_lines(client: Any, group: str, text: str, since: int) -> Sequence[str]:
    """The lines of a log group that have a text, since a time (epoch ms).

    An unreadable log gives none: a request has to end whether or not the reason can be found.
    """
    try:
        answer = client.filter_log_events(
            logGroupName=group, filterPattern=f'"{text}"', startTime=since, limit=MAX_LINES
        )
    except (ClientError, BotoCoreError):
        return ()
    return [event["message"] for event in answer["events"]]
