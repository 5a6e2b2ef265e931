"""The one place that makes AWS clients.

Clients only, no boto3 resources (their models cost start time), each made once per process by a composition root.
The endpoint comes from the environment alone (`AWS_ENDPOINT_URL`), which every SDK understands.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from inference.deadline import Deadline, OutOfTimeError

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
ATTEMPTS = 3

# boto3 can't shorten a single try, so with a deadline all of its tries are short.
BOUNDED_READ_TIMEOUT_SECONDS = 2
BOUNDED_ATTEMPTS = 2
FIRST_PAUSE_SECONDS = 1


@lru_cache
def client(service: str, deadline: Deadline | None = None) -> Any:
    """boto3's client of a service.

    With a deadline it makes two tries at most, and no try starts that could end after it, a pause before the next
    included. Without one it makes three; a hanging service then takes up to fifteen seconds a call, pauses included.
    """
    import boto3
    from botocore.config import Config

    read_timeout = READ_TIMEOUT_SECONDS if deadline is None else BOUNDED_READ_TIMEOUT_SECONDS
    attempts = ATTEMPTS if deadline is None else min(ATTEMPTS, BOUNDED_ATTEMPTS)
    made = boto3.client(
        service,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )
    if deadline is not None:
        longest = CONNECT_TIMEOUT_SECONDS + read_timeout + FIRST_PAUSE_SECONDS

        def check_time(**_: Any) -> None:
            if deadline.left() < longest:
                raise OutOfTimeError

        made.meta.events.register("before-send", check_time)
    return made


@lru_cache
def lean_client(service: str, deadline: Deadline | None = None) -> Any:
    """A client of `dynamodb` or `sqs` for the functions that somebody waits for or pays much for: a few operations at a
    tenth of boto3's CPU, and without importing it. boto3's where the environment asks for more than the lean one can.

    With a deadline no try starts that could end after it.
    """
    from inference.lean import LeanClient

    lean = LeanClient.from_environment(
        service, os.environ, CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, ATTEMPTS, deadline
    )
    return lean or client(service, deadline)
