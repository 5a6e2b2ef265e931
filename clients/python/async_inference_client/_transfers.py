"""Plans of what concerns files: uploads, downloads, results that are files, and deleting a request."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx2

from async_inference_client._content import Content
from async_inference_client._operations import Operations
from async_inference_client._responses import body_of, no_response, storage_error, unreadable
from async_inference_client._steps import Pause, Plan, Transfer
from async_inference_client.errors import CorruptDownload, InferenceError, UnknownRequest
from async_inference_client.models import File, Request

JSON = "application/json"
MADE = 412
"""The answer to a second PUT of an upload's link: the first has succeeded, and its answer was lost."""


def upload(operations: Operations, content: Content, content_type: str) -> Plan[dict[str, str]]:
    """Upload, and return the reference. A repeat asks for no other link: the first one's PUT may have succeeded."""
    body = json.dumps({"content_type": content_type, "bytes": content.size}).encode()
    response = yield from operations.repeated("POST", "/uploads", body, {"Content-Type": JSON})
    found = body_of(response)
    try:
        reference, url, headers = dict(found["reference"]), str(found["url"]), dict(found["headers"])
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(response, "201 and a link were expected") from error
    put = Transfer("PUT", url, operations.request_timeout, headers, content)
    yield from _transferred(operations, lambda: put)
    return reference


def download(operations: Operations, file: File, begin: Callable[[], Callable[[bytes], Any]]) -> Plan[None]:
    """Download and compare the SHA-256.

    Args:
        begin: called before each try; it returns what takes the parts.
    """
    digest = hashlib.sha256()

    def get() -> Transfer:
        nonlocal digest
        digest, write = hashlib.sha256(), begin()

        def receive(part: bytes) -> None:
            digest.update(part)
            write(part)

        return Transfer("GET", file.url, operations.request_timeout, receive=receive)

    def check() -> None:
        if digest.hexdigest() != file.sha256:
            raise CorruptDownload(f"what was downloaded has the SHA-256 {digest.hexdigest()}, not {file.sha256}")

    yield from _transferred(operations, get, check)


def download_bytes(operations: Operations, file: File) -> Plan[bytes]:
    """Download into memory."""
    content = bytearray()

    def begin() -> Callable[[bytes], Any]:
        content.clear()
        return content.extend

    yield from download(operations, file, begin)
    return bytes(content)


def result(operations: Operations, request: Request) -> Plan[Any]:
    """The result of a final request; one that was too large for its record is downloaded."""
    value = request.unwrap()
    file = request.whole_result
    return value if file is None else json.loads((yield from download_bytes(operations, file)))


def with_result(operations: Operations, request: Request) -> Plan[Request]:
    """The request with its result in it, also if that was too large for its record."""
    if not request.whole_result:
        return request
    return replace(request, result=(yield from result(operations, request)))


def delete(operations: Operations, request_id: str) -> Plan[None]:
    """Erase a request. After a lost answer, that it is unknown means that it is erased."""
    failures: list[InferenceError] = []
    try:
        yield from operations.repeated("DELETE", f"/requests/{quote(request_id, safe='')}", failures=failures)
    except UnknownRequest:
        if not failures:
            raise


def _transferred(
    operations: Operations, transfer: Callable[[], Transfer], check: Callable[[], None] = lambda: None
) -> Plan[httpx2.Response]:
    """A call of a presigned link, until it succeeds, can't succeed, or there were `retry_seconds` of pauses; the calls
    themselves may take minutes."""
    failures, paused = 0, 0.0
    while True:
        step = transfer()
        try:
            try:
                response = yield step
            except httpx2.RequestError as error:
                raise no_response(step.url.partition("?")[0], error) from error
            assert response is not None
            if not response.is_success and response.status_code != MADE:
                raise storage_error(response)
            check()
        except InferenceError as error:
            failures += 1
            until = operations.clock() + operations.retry_seconds - paused
            pause = operations.before_next(error, operations.pauses.before_retry(error, failures), until)
            if pause is None:
                raise
        else:
            return response
        paused += pause
        yield Pause(pause)
