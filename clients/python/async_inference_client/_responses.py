"""Reads HTTP responses: a success, or the error that it stands for."""

import errno
import math
import re
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from async_inference_client.errors import (
    PROBLEMS,
    ConnectionFailed,
    GatewayError,
    Problem,
    ResponseError,
    StorageError,
)

_XML_CODE = re.compile(r"<Code>([^<]*)</Code>")

LONGEST_RETRY_AFTER_SECONDS = 600.0
"""A later Retry-After counts as this: no request takes so long that a client must be silent for longer."""


def retry_after(response: httpx2.Response, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Seconds of the response's Retry-After, which has a number or a date (RFC 9110); None without a valid one."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        seconds = (parsedate_to_datetime(text) - now()).total_seconds()
    except (TypeError, ValueError):  # a date without a zone can't be compared: TypeError
        return None
    return min(max(0.0, float(math.ceil(seconds))), LONGEST_RETRY_AFTER_SECONDS)


def body_of(response: httpx2.Response) -> Any:
    """The body as JSON; as text if it is not JSON."""
    try:
        return response.json()
    except ValueError:
        return response.text


def error_of(response: httpx2.Response) -> ResponseError:
    """The error of a response that is not a success."""
    body = body_of(response)
    known: dict[str, Any] = {
        "status": response.status_code,
        "headers": dict(response.headers),
        "body": body,
        "retry_after": retry_after(response),
    }
    found = body.get("type") if isinstance(body, dict) else None
    if isinstance(found, str):
        text = ": ".join(str(body[name]) for name in ("title", "detail") if body.get(name)) or found
        return PROBLEMS.get(found, Problem)(f"{response.status_code} {text}", **known)
    said = body.get("message") if isinstance(body, dict) else str(body)[:200]
    gateway_id = response.headers.get("apigw-requestid") or response.headers.get("x-amzn-requestid")
    where = (
        f"{response.request.method} {response.request.url.path}",
        "not from the API itself",
        f"gateway request {gateway_id}" if gateway_id else "",
    )
    details = f"{', '.join(part for part in where if part)}; {_hint(response.status_code)}"
    return GatewayError(f"{response.status_code} {said or 'without a text'} ({details})", **known)


def storage_error(response: httpx2.Response) -> StorageError:
    """The error of a presigned link's response."""
    code = _XML_CODE.search(response.text)
    said = code[1] if code else "without a code"
    hint = (
        "; a link that has ended is replaced by a new one: get the request again" if response.status_code == 403 else ""
    )
    return StorageError(
        f"{response.status_code} {said} ({response.request.method} of a presigned link{hint})",
        status=response.status_code,
        headers=dict(response.headers),
        body=response.text,
        retry_after=retry_after(response),
    )


def unreadable(response: httpx2.Response, reason: str) -> ResponseError:
    """The error of a success that is not of this API."""
    return ResponseError(
        f"{response.status_code} is not an answer of the inference API ({reason}; {response.request.method}"
        f" {response.request.url.path}): is the URL right?",
        status=response.status_code,
        headers=dict(response.headers),
        body=body_of(response),
    )


def no_response(url: str, error: httpx2.RequestError) -> ConnectionFailed:
    """The error of a call without a response."""
    causes = list(_causes(error))
    refused = any(isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED for cause in causes)
    untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
    permanent = untrusted or isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError)
    reason = str(error) or type(error).__name__
    return ConnectionFailed(f"no answer from {url}: {reason}", retryable=not permanent, refused=refused)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it; an attempt for each address is in a group."""
    seen: set[int] = set()
    left = [error]
    while left:
        found = left.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        left += found.exceptions if isinstance(found, BaseExceptionGroup) else ()
        left += [cause for cause in (found.__cause__, found.__context__) if cause is not None]


def _hint(status: int) -> str:
    if status in (401, 403):
        return "does the call have a signature or a token, and may the caller invoke the API?"
    if status == 404:
        return "is the URL right?"
    if status == 413:
        return "API Gateway accepts no body of this size"
    if status == 429:
        return "more calls than the API's throttling allows"
    if status >= 500:
        return "the api function failed or could not be called: see its log"
    return "an API of another kind?"
