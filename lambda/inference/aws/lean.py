"""A lean client of DynamoDB and SQS: just the operations that the adapters call, with boto3's names and errors.

boto3 supports everything, but takes most of the cold start of a function that makes three calls, and ten times the CPU
time per call. This client returns the same responses and raises the same exceptions (the same tests run with both), and
retries as botocore's `standard` mode does. If the environment needs more than keys (or the container endpoint that has
them), region and endpoint (profiles, proxies, FIPS, ...), `from_environment` returns None, and boto3 is used.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)

from inference.aws.deadline import Deadline, OutOfTimeError
from inference.aws.signing import Credentials, Signer
from inference.aws.wire import Host, Reply, StaleConnectionError

if TYPE_CHECKING:
    from inference.aws.credentials import ContainerCredentials

_OPERATIONS = {
    "dynamodb": {
        "put_item": "PutItem",
        "get_item": "GetItem",
        "update_item": "UpdateItem",
        "delete_item": "DeleteItem",
        "batch_execute_statement": "BatchExecuteStatement",
        "query": "Query",
        "batch_get_item": "BatchGetItem",
    },
    "sqs": {
        "send_message": "SendMessage",
        "change_message_visibility_batch": "ChangeMessageVisibilityBatch",
        "get_queue_attributes": "GetQueueAttributes",
    },
}
_TARGET_PREFIXES = {"dynamodb": "DynamoDB_20120810.", "sqs": "AmazonSQS."}

# In query mode SQS names its errors as it always has, and as boto3 does.
_HEADERS: Mapping[str, Mapping[str, str]] = {"dynamodb": {}, "sqs": {"x-amzn-query-mode": "true"}}

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

# If one of these is set, boto3 is needed.
_ONLY_BOTO3 = (
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
)
_UNSET_VALUES = ("", "false", os.devnull.lower())  # the null device as AWS_CONFIG_FILE: no file at all
_ISOLATED_REGIONS = ("us-iso", "eu-iso", "eusc-")
"""Prefixes of regions whose endpoints are in other domains."""


class LeanClient:
    """A client of one service, safe to share by threads. Its methods are those of `_OPERATIONS`.

    Args:
        service: `dynamodb` or `sqs`.
        host: where the service is.
        signer: gives the signer of the service with credentials that are valid now; to fetch them it may take so many
            seconds.
        attempts: of a call, the first included.
        deadline: no attempt starts that could end after it.
        pause: sleeps for some seconds.
    """

    def __init__(
        self,
        service: str,
        host: Host,
        signer: Callable[[float], Signer],
        attempts: int,
        deadline: Deadline | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._prefix = _TARGET_PREFIXES[service]
        self._host = host
        self._signer = signer
        self._attempts = attempts
        self._remaining = (deadline or Deadline()).remaining
        self._pause = pause
        self._quota = _RetryQuota()
        for method, operation in _OPERATIONS[service].items():
            setattr(self, method, partial(self._call, operation))

    @classmethod
    def from_environment(
        cls,
        service: str,
        environment: Mapping[str, str],
        connect_timeout: float,
        read_timeout: float,
        attempts: int,
        deadline: Deadline | None = None,
    ) -> LeanClient | None:
        """The client for this environment, or None if it needs boto3. Timeouts in seconds."""
        if any(environment.get(name, "").lower() not in _UNSET_VALUES for name in _ONLY_BOTO3):
            return None
        region = environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION")
        access_key = environment.get("AWS_ACCESS_KEY_ID")
        secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
        container = None
        if not (access_key and secret_key):
            container = _container_credentials(environment, connect_timeout, read_timeout)
        if not region or not ((access_key and secret_key) or container):
            return None
        url = environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environment.get("AWS_ENDPOINT_URL")
        if not url:
            if region.startswith(_ISOLATED_REGIONS):
                return None
            url = f"https://{service}.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
        scheme, _, authority = url.lower().removesuffix("/").partition("://")
        name, _, port = authority.partition(":")
        default_port = {"http": 80, "https": 443}.get(scheme)
        if not default_port or not name.replace("-", "").replace(".", "").isalnum() or (port and not port.isdecimal()):
            return None
        ca_bundle = environment.get("AWS_CA_BUNDLE") or environment.get("REQUESTS_CA_BUNDLE")
        host = Host(scheme, name, int(port or default_port), connect_timeout, read_timeout, ca_bundle)
        host_header = name if int(port or default_port) == default_port else authority

        def sign_with(credentials: Credentials) -> Signer:
            return Signer(credentials, service, region, host_header, _HEADERS[service])

        if container:
            return cls(service, host, _CurrentSigner(container, sign_with), attempts, deadline)
        fixed = sign_with(Credentials(access_key or "", secret_key or "", environment.get("AWS_SESSION_TOKEN")))
        return cls(service, host, lambda seconds: fixed, attempts, deadline)

    def _call(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """Make a call, with retries.

        Raises:
            ClientError: the service returned an error.
            BotoCoreError: it could not be reached, its reply could not be read, or no time is left.
        """
        if self._remaining() < SHORTEST_TRY_SECONDS:
            raise OutOfTimeError
        body = json.dumps(arguments, separators=(",", ":")).encode()
        refund = REFUND_WITHOUT_RETRY
        for attempt in count(1):
            try:
                answer = self._try(operation, body, attempt)
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
                    self._pause(pause)
            else:
                self._quota.release(refund)
                return answer
        raise AssertionError("unreachable")

    def _try(self, operation: str, body: bytes, attempt: int) -> dict[str, Any]:
        signer = self._signer(self._remaining())
        reply = self._host.exchange(
            signer.request(self._prefix + operation, body, time.time(), _trace_header(os.environ)),
            self._remaining(),
        )
        expected, actual = reply.headers.get("x-amz-crc32"), str(zlib.crc32(reply.body))
        if expected not in (None, actual):
            raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)
        metadata = {
            "RequestId": reply.headers.get("x-amzn-requestid", ""),
            "HTTPStatusCode": reply.status,
            "RetryAttempts": attempt - 1,
        }
        if reply.status >= 300:
            raise _rejection(reply, operation, metadata)
        try:
            return {**json.loads(reply.body or b"{}"), "ResponseMetadata": metadata}
        except (ValueError, TypeError) as error:
            raise HTTPClientError(error=error) from error


class _CurrentSigner:
    """Gives a signer with the credentials that are valid now: the same one for as long as they are the same."""

    def __init__(self, credentials: ContainerCredentials, sign_with: Callable[[Credentials], Signer]) -> None:
        self._credentials = credentials
        self._sign_with = sign_with
        self._last: tuple[Credentials, Signer] | None = None

    def __call__(self, seconds: float) -> Signer:
        credentials, last = self._credentials(seconds), self._last
        if last is None or last[0] is not credentials:
            last = self._last = (credentials, self._sign_with(credentials))  # one tuple: all threads see matching ones
        return last[1]


def _container_credentials(
    environment: Mapping[str, str], connect_timeout: float, read_timeout: float
) -> ContainerCredentials | None:
    from inference.aws.credentials import ContainerCredentials  # imported only where there are no keys

    return ContainerCredentials.from_environment(environment, connect_timeout, read_timeout)


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


def _rejection(reply: Reply, operation: str, metadata: Mapping[str, Any]) -> ClientError:
    """The error that boto3 raises: a rejected condition's record is its `response["Item"]`."""
    try:
        fields = dict(json.loads(reply.body))
    except (ValueError, TypeError):
        fields = {"message": reply.body.decode("utf-8", "replace")}
    code = str(fields.pop("__type", reply.status)).partition(":")[0].rpartition("#")[2]
    if query_error := reply.headers.get("x-amzn-query-error"):
        code = query_error.partition(";")[0]
    message = fields.pop("message", None) or fields.pop("Message", "")
    return ClientError({**fields, "Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)


def _is_retried(error: BotoCoreError | ClientError) -> bool:
    if isinstance(error, ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status in RETRIED_STATUSES or error.response["Error"]["Code"] in RETRIED_CODES
    return isinstance(error, (ConnectionError, HTTPClientError, ChecksumError))


def _jitter() -> float:
    """A number from 0 to 1; the module `random` would take a millisecond to import."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def _trace_header(environment: Mapping[str, str]) -> str:
    """The header that boto3 sends in Lambda, which uses it to detect functions that call each other in a loop."""
    trace = environment.get("_X_AMZN_TRACE_ID", "")
    if not trace.isascii() or not trace.isprintable() or "AWS_LAMBDA_FUNCTION_NAME" not in environment:
        return ""
    return trace and f"x-amzn-trace-id: {trace}\r\n"
