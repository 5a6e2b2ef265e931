"""A lean client of DynamoDB and SQS: just the operations that the adapters call, with boto3's names and errors.

boto3 supports everything, but takes most of the cold start of a function that makes three calls, and ten times the CPU
time per call. This client returns the same responses and raises the same exceptions (the same tests run with both), and
retries as botocore's `standard` mode does. If the environment needs more than keys (or the container endpoint that has
them), region and endpoint (profiles, proxies, FIPS, ...), `from_environment` returns None, and boto3 is used.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ChecksumError, ClientError, HTTPClientError

from inference.aws.connection import CurrentSigner, connection_from_environment, trace_header
from inference.aws.deadline import Deadline
from inference.aws.retries import Retries
from inference.aws.signing import Credentials, Signer
from inference.aws.wire import Host, Reply

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
        "send_message_batch": "SendMessageBatch",
        "change_message_visibility_batch": "ChangeMessageVisibilityBatch",
        "get_queue_attributes": "GetQueueAttributes",
    },
}
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_TARGET_PREFIXES = {"dynamodb": "DynamoDB_20120810.", "sqs": "AmazonSQS."}

# In query mode SQS names its errors as it always has, and as boto3 does.
_HEADERS: Mapping[str, Mapping[str, str]] = {"dynamodb": {}, "sqs": {"x-amzn-query-mode": "true"}}


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
        self._remaining = (deadline or Deadline()).remaining
        self.retries = Retries(attempts, self._remaining, pause)
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
        connection = connection_from_environment(service, environment, connect_timeout, read_timeout)
        if connection is None:
            return None
        host, host_header, region, credentials = connection

        def sign_with(credentials: Credentials) -> Signer:
            return Signer(credentials, service, region, host_header, _HEADERS[service])

        return cls(service, host, CurrentSigner(credentials, sign_with), attempts, deadline)

    def _call(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """Make a call, with retries.

        Raises:
            ClientError: the service returned an error.
            BotoCoreError: it could not be reached, its reply could not be read, or no time is left.
        """
        body = _to_json(arguments).encode()
        return self.retries.run(lambda attempt: self._try(operation, body, attempt))

    def _try(self, operation: str, body: bytes, attempt: int) -> dict[str, Any]:
        signer = self._signer(self._remaining())
        reply = self._host.exchange(
            signer.request(self._prefix + operation, body, time.time(), trace_header(os.environ)),
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
