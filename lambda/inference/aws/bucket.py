"""A lean client of one S3 bucket: `inference.store.payloads.Bucket` without boto3, which takes 0.4 s of CPU to import.

Its calls are presigned requests that it makes itself, so links and calls have one signer. Objects are sent and read
whole, or in the parts that the caller asks for.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from inference.aws.connection import (
    CurrentSigner,
    configured_endpoint,
    connection_from_environment,
    trace_header,
)
from inference.aws.deadline import Deadline
from inference.aws.query_signing import QuerySigner
from inference.aws.retries import Retries
from inference.aws.signing import Credentials
from inference.aws.wire import Host, Reply
from inference.errors import Unavailable
from inference.sources import ObjectChanged, Pin
from inference.store.payloads import Link, StoredObject

CALL_SECONDS = 300
"""For how long the signature of a call of this client is valid."""

_MISSING = (404, 416)
"""No such object; or an empty one, which has no first byte."""

_CHANGED = 412
"""A condition of the call does not hold."""

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


class LeanBucket:
    """A bucket, safe to share by threads.

    Args:
        host: of the bucket, or of S3.
        base_url: of the links, without the path.
        signer: as in `LeanClient`.
    """

    def __init__(
        self,
        host: Host,
        host_header: str,
        base_url: str,
        signer: Callable[[float], QuerySigner],
        attempts: int,
        deadline: Deadline | None = None,
    ) -> None:
        self._host = host
        self._host_header = host_header
        self._base_url = base_url
        self._signer = signer
        self._remaining = (deadline or Deadline()).remaining
        self.retries = Retries(attempts, self._remaining)

    @classmethod
    def from_environment(
        cls,
        name: str,
        environment: Mapping[str, str],
        connect_timeout: float,
        read_timeout: float,
        attempts: int,
        deadline: Deadline | None = None,
    ) -> LeanBucket | None:
        """The bucket for this environment, or None if it needs boto3. Timeouts in seconds."""
        connection = connection_from_environment("s3", environment, connect_timeout, read_timeout, f"{name}.")
        if connection is None:
            return None
        host, host_header, region, credentials = connection
        endpoint = configured_endpoint("s3", environment).removesuffix("/")
        root = f"/{name}/" if endpoint else "/"

        def sign_with(credentials: Credentials) -> QuerySigner:
            return QuerySigner(credentials, region, host_header, root)

        signer = CurrentSigner(credentials, sign_with)
        return cls(host, host_header, endpoint or f"https://{host_header}", signer, attempts, deadline)

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write an object. S3 compares its SHA-256."""
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers = {"content-type": content_type, "x-amz-checksum-sha256": checksum}
        self._call("write", "PUT", key, headers=headers, body=content)

    def get(self, key: str, first: int = 0, last: int | None = None, pin: Pin | None = None) -> StoredObject | None:
        """See `Bucket.get`."""
        headers = {"range": f"bytes={first}-{'' if last is None else last}"}
        query = {}
        if pin is not None:
            headers["if-match"] = f'"{pin.etag}"'
            query = {} if pin.version_id is None else {"versionId": pin.version_id}
        reply = self._call("read", "GET", key, query, headers, accepted=(*_MISSING, _CHANGED))
        if reply.status == _CHANGED:
            raise ObjectChanged(f"{key} has another content now")
        if reply.status in _MISSING:
            return None
        total = reply.headers.get("content-range", "").rpartition("/")[2]
        return StoredObject(
            reply.body,
            int(total) if total.isdecimal() else len(reply.body),
            reply.headers.get("content-type", ""),
            _epoch_ms(reply.headers.get("last-modified", "")),
        )

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        self._call("delete", "DELETE", key, accepted=(404,))

    def keys(self, prefix: str) -> Sequence[str]:
        """See `Bucket.keys`. The keys are those that this package makes, which XML need not escape."""
        reply = self._call("list", "GET", "", query={"list-type": "2", "prefix": prefix})
        return re.findall(r"<Key>([^<&]*)</Key>", reply.body.decode("utf-8", "replace"))

    def upload_link(self, key: str, content_type: str, size: int, seconds: int) -> Link:
        """A link to write an object of this size and type, once: `If-None-Match` fails if it is there."""
        headers = {"content-length": str(size), "content-type": content_type, "if-none-match": "*"}
        return Link(self._url("PUT", key, seconds, headers), headers)

    def download_link(self, key: str, seconds: int, version_id: str | None = None) -> str:
        """A link to read an object, or one version of it."""
        return self._url("GET", key, seconds, query=None if version_id is None else {"versionId": version_id})

    def _url(
        self,
        method: str,
        key: str,
        seconds: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        try:
            signer = self._signer(self._remaining())
        except BotoCoreError as error:
            raise Unavailable(f"could not sign a link: {error}") from error
        return self._base_url + signer.target(method, key, time.time(), seconds, query, headers)

    def _call(
        self,
        what: str,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        accepted: Sequence[int] = (),
    ) -> Reply:
        """Make a call, with retries; a status of 300 or more is an error, unless it is accepted."""

        def attempt_call(attempt: int) -> Reply:
            signer = self._signer(self._remaining())
            target = signer.target(method, key, time.time(), CALL_SECONDS, query, headers)
            lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
            head = (
                f"{method} {target} HTTP/1.1\r\nhost: {self._host_header}\r\n{lines}content-length: {len(body)}\r\n"
                f"user-agent: async-inference\r\n{trace_header(os.environ)}\r\n"
            )
            reply = self._host.exchange(head.encode("latin-1") + body, self._remaining())
            if reply.status >= 300 and reply.status not in accepted:
                raise _rejection(reply, what)
            return reply

        try:
            return self.retries.run(attempt_call)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"could not {what} {key or 'the bucket'}: {error}") from error


def _rejection(reply: Reply, operation: str) -> ClientError:
    code, message = re.search(rb"<Code>([^<]*)<", reply.body), re.search(rb"<Message>([^<]*)<", reply.body)
    return ClientError(
        {
            "Error": {
                "Code": code[1].decode("utf-8", "replace") if code else str(reply.status),
                "Message": message[1].decode("utf-8", "replace") if message else "",
            },
            "ResponseMetadata": {"HTTPStatusCode": reply.status},
        },
        operation,
    )


def _epoch_ms(date: str) -> int:
    """The time of an HTTP date, `Wed, 21 Oct 2015 07:28:00 GMT`, in epoch milliseconds; 0 if it is none.

    `time.strptime` and `datetime` would be imported for this alone.
    """
    match = re.fullmatch(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", date)
    if match is None:
        return 0
    day, month, year, *clock = match.groups()
    hour, minute, second = map(int, clock)
    days = _days(int(year), _MONTHS.index(month) // 3 + 1, int(day))
    return (days * 86_400 + hour * 3_600 + minute * 60 + second) * 1000


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin with March."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719_469
