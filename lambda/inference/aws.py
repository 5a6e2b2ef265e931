"""The one place that makes AWS clients.

Clients only, no boto3 resources (their models cost start time), each made once per process by a composition root.
The endpoint comes from the environment alone (`AWS_ENDPOINT_URL`), which every SDK understands.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, NamedTuple

from inference.deadline import Deadline, OutOfTimeError

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
ATTEMPTS = 3
BOUNDED_ATTEMPTS = 2


class _Tries(NamedTuple):
    """How a boto3 client tries a call; times in seconds."""

    connect_timeout: float
    read_timeout: float
    attempts: int
    pause: float

    @property
    def longest(self) -> float:
        """The longest that a try takes, with the pause after it."""
        return self.connect_timeout + self.read_timeout + self.pause


# boto3 can't shorten a single try. So with a deadline all of its tries are short, and when little time is left there is
# one that is shorter still: it fits in the second that the worker's timeout handler has.
_SHORT = _Tries(CONNECT_TIMEOUT_SECONDS, 2, BOUNDED_ATTEMPTS, 1)
_LAST = _Tries(0.3, 0.5, 1, 0)


@lru_cache
def client(service: str, deadline: Deadline | None = None) -> Any:
    """boto3's client of a service.

    With a deadline it makes two tries at most, and no try starts that could end after it, a pause before the next
    included. Without one it makes three; a hanging service then takes up to fifteen seconds a call, pauses included.
    """
    if deadline is None:
        return _boto3_client(service, _Tries(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, ATTEMPTS, 0))
    return _BoundedClient(service, deadline)


class _BoundedClient:
    """boto3's client with a deadline: two of them, of which a call takes the one that its time allows."""

    def __init__(self, service: str, deadline: Deadline) -> None:
        self._deadline = deadline
        self._short = self._make(service, _SHORT)
        self._last = self._make(service, _LAST)
        self.meta = self._short.meta

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._short if self._deadline.left() >= _SHORT.longest else self._last, operation)

    def _make(self, service: str, tries: _Tries) -> Any:
        def check_time(**_: Any) -> None:
            if self._deadline.left() < tries.longest:
                raise OutOfTimeError

        made = _boto3_client(service, tries)
        made.meta.events.register("before-send", check_time)
        return made


def _boto3_client(service: str, tries: _Tries) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        config=Config(
            connect_timeout=tries.connect_timeout,
            read_timeout=tries.read_timeout,
            retries={"mode": "standard", "total_max_attempts": tries.attempts},
        ),
    )


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
