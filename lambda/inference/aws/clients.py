"""The only module that makes AWS clients.

Clients only, no boto3 resources (loading their models takes start time). Each is made once per process, by the
function's main module. The endpoint comes from the environment (`AWS_ENDPOINT_URL`), which every SDK supports.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from inference.aws.deadline import Deadline, OutOfTimeError

if TYPE_CHECKING:
    from inference.store.payloads import Bucket

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
ATTEMPTS = 3
BOUNDED_ATTEMPTS = 2


class _RetrySettings(NamedTuple):
    """Timeouts and attempts of a boto3 client's calls; times in seconds."""

    connect_timeout: float
    read_timeout: float
    attempts: int
    pause: float

    @property
    def longest(self) -> float:
        """The longest time of one attempt, with the pause after it."""
        return self.connect_timeout + self.read_timeout + self.pause


# boto3 can't shorten a single attempt. So with a deadline all attempts are short, and when little time is left there is
# one # that is shorter still: it fits in the second that the worker's timeout handler has.
_SHORT = _RetrySettings(CONNECT_TIMEOUT_SECONDS, 2, BOUNDED_ATTEMPTS, 1)
_LAST = _RetrySettings(0.3, 0.5, 1, 0)


@lru_cache
def client(service: str, deadline: Deadline | None = None) -> Any:
    """boto3's client of a service.

    With a deadline it makes at most two attempts, and starts none that could end after it. Without a deadline it makes
    three; then a call to a service that hangs takes up to fifteen seconds.
    """
    if deadline is None:
        return _boto3_client(service, _RetrySettings(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, ATTEMPTS, 0))
    return _BoundedClient(service, deadline)


class _BoundedClient:
    """A boto3 client with a deadline: two clients with different timeouts; the time left decides which one a call
    uses."""

    def __init__(self, service: str, deadline: Deadline) -> None:
        self._deadline = deadline
        self._short = self._make(service, _SHORT)
        self._last = self._make(service, _LAST)
        self.meta = self._short.meta

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._short if self._deadline.remaining() >= _SHORT.longest else self._last, operation)

    def _make(self, service: str, tries: _RetrySettings) -> Any:
        def check_time(**_: Any) -> None:
            if self._deadline.remaining() < tries.longest:
                raise OutOfTimeError

        made = _boto3_client(service, tries)
        made.meta.events.register("before-send", check_time)
        return made


def _boto3_client(service: str, tries: _RetrySettings) -> Any:
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
    """A client of `dynamodb` or `sqs` with a few operations, at a tenth of boto3's CPU time and without importing it;
    for the api function and the workers. If the environment needs more than it supports, boto3's client.

    With a deadline no attempt starts that could end after it.
    """
    from inference.aws.lean import LeanClient

    lean = LeanClient.from_environment(
        service, os.environ, CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, ATTEMPTS, deadline
    )
    return lean or client(service, deadline)


@lru_cache
def bucket(name: str, deadline: Deadline | None = None, read_timeout: float = READ_TIMEOUT_SECONDS) -> Bucket:
    """A bucket, without boto3 if the environment allows it. `read_timeout`: seconds for sending an object, and for each
    wait for data; boto3 keeps its own."""
    from inference.aws.bucket import LeanBucket

    lean = LeanBucket.from_environment(name, os.environ, CONNECT_TIMEOUT_SECONDS, read_timeout, ATTEMPTS, deadline)
    if lean is not None:
        return lean
    from inference.aws.boto3_bucket import Boto3Bucket

    return Boto3Bucket(client("s3", deadline), name)
