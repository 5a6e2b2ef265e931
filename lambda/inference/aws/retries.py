"""Retries of the lean clients: when, how often, and how long to wait before one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)

from inference.aws.deadline import OutOfTimeError
from inference.aws.wire import StaleConnectionError

_T = TypeVar("_T")

# The rules of botocore.retries.standard, which takes too long to import; a test compares them.
RETRIED_STATUSES = frozenset({500, 502, 503, 504})
RETRIED_CODES = frozenset(
    {
        *("RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"),
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException"),
        *("TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException"),
        *("RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "SlowDown"),
        *("EC2ThrottledException", "ReplicatedWriteConflictException"),
    }
)
RETRY_CAPACITY = 500
RETRY_COST = 5
RETRY_COST_TIMEOUT = 10
REFUND_WITHOUT_RETRY = 1
MAX_BACKOFF_SECONDS = 20

SHORTEST_TRY_SECONDS = 0.5
"""With less time left, no attempt is started."""


class Retries:
    """Makes the attempts of a client's calls.

    Args:
        attempts: of a call, the first included.
        remaining: gives the seconds left for calls.
        pause: sleeps for some seconds.
    """

    def __init__(
        self, attempts: int, remaining: Callable[[], float], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._attempts = attempts
        self._remaining = remaining
        self.pause = pause
        self._quota = _RetryQuota()

    def run(self, attempt_call: Callable[[int], _T]) -> _T:
        """Make a call, with retries. `attempt_call` gets the attempt's number, from 1.

        Raises:
            ClientError: the service returned an error.
            BotoCoreError: it could not be reached, its reply could not be read, or no time is left.
        """
        if self._remaining() < SHORTEST_TRY_SECONDS:
            raise OutOfTimeError
        refund = REFUND_WITHOUT_RETRY
        for attempt in count(1):
            try:
                answer = attempt_call(attempt)
            except (BotoCoreError, ClientError) as error:
                cost = RETRY_COST_TIMEOUT if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)) else RETRY_COST
                if attempt >= self._attempts or not _is_retried(error) or not self._quota.acquire(cost):
                    raise
                refund = cost
                # After Lambda froze the process, the kept connection is probably closed and the service is fine: do not
                # wait.
                stale = isinstance(error, StaleConnectionError)
                pause = 0 if stale else _jitter() * min(2 ** (attempt - 1), MAX_BACKOFF_SECONDS)
                if self._remaining() - pause < SHORTEST_TRY_SECONDS:
                    raise
                if not stale:
                    self.pause(pause)
            else:
                self._quota.release(refund)
                return answer
        raise AssertionError("unreachable")


class _RetryQuota:
    """A client's budget for retries: without a limit, retries of all clients can keep a service overloaded."""

    def __init__(self) -> None:
        self._left = RETRY_CAPACITY
        self._lock = threading.Lock()

    def acquire(self, cost: int) -> bool:
        """Take this amount. Returns False, and takes nothing, if less is left."""
        with self._lock:
            if cost > self._left:
                return False
            self._left -= cost
            return True

    def release(self, amount: int) -> None:
        """Give this amount back, up to the capacity."""
        with self._lock:
            self._left = min(self._left + amount, RETRY_CAPACITY)


def _is_retried(error: BotoCoreError | ClientError) -> bool:
    if isinstance(error, ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status in RETRIED_STATUSES or error.response["Error"]["Code"] in RETRIED_CODES
    return isinstance(error, (ConnectionError, HTTPClientError, ChecksumError))


def _jitter() -> float:
    """A number from 0 to 1; the module `random` would take a millisecond to import."""
    return int.from_bytes(os.urandom(4), "big") / 2**32
