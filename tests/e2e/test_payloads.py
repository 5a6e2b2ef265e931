"""Payloads that do not fit in a message: by real HTTP and presigned links, with rights enforced."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import Addition
from tests.e2e.http_client import Api
from tests.e2e.test_requests import as_documented

MEGABYTE = bytes(range(256)) * 4096
LARGE_MEGABYTES = 200


@pytest.fixture(autouse=True)
def models(addition: Addition) -> None:
    """The model `digest` is deployed."""


def exchange(method: str, url: str, body: bytes | Iterable[bytes] | None = None, **headers: str) -> tuple[int, bytes]:
    """A call of a presigned link."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)) as connection:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"{parts.path}?{parts.query}", body, names)
        answer = connection.getresponse()
        return answer.status, answer.read()


def new_upload(api: Api, size: int, content_type: str = "application/octet-stream") -> dict[str, Any]:
    body = json.dumps({"content_type": content_type, "bytes": size}).encode()
    response = api.call("POST", "/uploads", body, content_type="application/json")
    assert response.status == 201, response
    as_documented("POST /uploads", response)
    upload: dict[str, Any] = response.body
    return upload


def put(upload: dict[str, Any], content: bytes | Iterable[bytes], **changed: str) -> int:
    return exchange("PUT", upload["url"], content, **{**upload["headers"], **changed})[0]


def test_a_large_upload_is_read_as_a_stream_and_its_result_has_a_file(api: Api) -> None:
    def content() -> Iterator[bytes]:
        for _ in range(LARGE_MEGABYTES):
            yield MEGABYTE

    digest = hashlib.sha256()
    for part in content():
        digest.update(part)
    upload = new_upload(api, LARGE_MEGABYTES * len(MEGABYTE))
    assert put(upload, content()) == 200
    request_id = api.accepted({"file": upload["reference"], "label": "x"}, model="digest")
    shown = api.outcome(request_id, seconds=120)
    assert shown["status"] == "succeeded", shown
    assert (shown["result"]["bytes"], shown["result"]["sha256"]) == (
        LARGE_MEGABYTES * len(MEGABYTE),
        digest.hexdigest(),
    )
    peak_mb = shown["result"]["peak_mb"]
    print(f"the worker's memory was at most {peak_mb} MB")
    assert peak_mb is None or peak_mb < LARGE_MEGABYTES, "the file was in memory whole"
    assert shown["result"]["tail"] == {"$ref": "#/files/0"}
    (file,) = shown["files"]
    status, tail = exchange("GET", file["url"])
    assert (status, tail) == (200, MEGABYTE[-1024:])
    assert (file["bytes"], file["sha256"]) == (1024, hashlib.sha256(tail).hexdigest())
    as_documented("GET /status/{request_id}", api.status(request_id))


def test_an_input_of_four_megabytes_needs_nothing_of_its_client(api: Api) -> None:
    words = 700_000
    assert api.outcome(api.accepted({"text": "word " * words}, model="wordcount"))["result"] == {"words": words}


def test_the_link_takes_this_size_and_type_once(api: Api) -> None:
    upload = new_upload(api, 4, "image/png")
    assert put(upload, b"12345", content_length="5") == 403
    assert put(upload, b"1234", content_type="text/html") == 403
    assert put(upload, b"1234") == 200
    assert put(upload, b"4321") == 412


def test_erasing_ends_the_links_too(api: Api) -> None:
    upload = new_upload(api, len(MEGABYTE))
    assert put(upload, MEGABYTE) == 200
    request_id = api.accepted({"file": upload["reference"], "label": "x"}, model="digest")
    (file,) = api.outcome(request_id)["files"]
    erased = api.call("DELETE", f"/requests/{request_id}")
    assert erased.status == 200
    as_documented("DELETE /requests/{request_id}", erased)
    assert exchange("GET", file["url"])[0] == 404
    assert api.status(request_id).status == 404
    assert api.submit({"file": upload["reference"], "label": "x"}, model="digest").status == 422
