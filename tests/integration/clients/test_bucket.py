"""The payload bucket by both clients, on moto: one behaviour, whichever of the two a function gets."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import boto3
import pytest
from moto import mock_aws

from inference.aws.boto3_bucket import Boto3Bucket
from inference.aws.bucket import LeanBucket
from inference.errors import Unavailable
from inference.store.payloads import Bucket, Link, Payloads
from tests.integration.clients.s3_relay import S3Relay

NAME = "payloads-of-tests"


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Relay]:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {"DEFAULT_REGION": "us-east-1", "ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws(), S3Relay() as relay:
        boto3.client("s3").create_bucket(Bucket=NAME)
        yield relay


@pytest.fixture(params=["boto3", "lean"])
def bucket(request: pytest.FixtureRequest, relay: S3Relay) -> Bucket:
    if request.param == "boto3":
        return Boto3Bucket(boto3.client("s3"), NAME)
    lean = LeanBucket.from_environment(NAME, {**os.environ, "AWS_ENDPOINT_URL": relay.url}, 1, 5, 3)
    assert lean is not None
    lean.retries.pause = lambda _: None
    return lean


def test_what_is_written_is_read(bucket: Bucket) -> None:
    bucket.put("requests/a/input-1.json", b'{"a": 1}', "application/json")
    found = bucket.get("requests/a/input-1.json")
    assert found is not None
    assert (found.content, found.bytes, found.content_type) == (b'{"a": 1}', 8, "application/json")
    assert abs(found.modified - time.time() * 1000) < 60_000


def test_parts(bucket: Bucket) -> None:
    bucket.put("uploads/o/1", bytes(range(100)), "image/png")
    first, middle, rest = (
        bucket.get("uploads/o/1", last=0),
        bucket.get("uploads/o/1", 10, 19),
        bucket.get("uploads/o/1", 90),
    )
    assert first is not None and middle is not None and rest is not None
    assert (first.content, first.bytes) == (b"\0", 100)
    assert (middle.content, middle.bytes) == (bytes(range(10, 20)), 100)
    assert rest.content == bytes(range(90, 100))


def test_what_is_not_there(bucket: Bucket) -> None:
    assert bucket.get("uploads/o/none") is None
    assert bucket.get("uploads/o/none", last=0) is None
    bucket.delete("uploads/o/none")
    assert list(bucket.keys("requests/none/")) == []


def test_an_empty_object_has_no_part(bucket: Bucket) -> None:
    bucket.put("uploads/o/empty", b"", "text/plain")
    assert bucket.get("uploads/o/empty", last=0) is None


def test_keys_and_deleting(bucket: Bucket) -> None:
    for key in ("requests/a/1", "requests/a/attempt-1/0", "requests/ab/1"):
        bucket.put(key, b"x", "text/plain")
    assert sorted(bucket.keys("requests/a/")) == ["requests/a/1", "requests/a/attempt-1/0"]
    bucket.delete("requests/a/1")
    assert list(bucket.keys("requests/a/")) == ["requests/a/attempt-1/0"]


def test_no_bucket_is_unavailable(relay: S3Relay) -> None:
    lean = LeanBucket.from_environment("no-such-bucket", {**os.environ, "AWS_ENDPOINT_URL": relay.url}, 1, 5, 3)
    for bucket in (lean, Boto3Bucket(boto3.client("s3"), "no-such-bucket")):
        assert bucket is not None
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            bucket.put("k", b"", "text/plain")
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            bucket.keys("k")


def test_renewing(relay: S3Relay) -> None:
    bucket = Boto3Bucket(boto3.client("s3"), NAME)
    bucket.put("uploads/o/1", b"x", "image/png")
    assert bucket.renew("uploads/o/1")
    found = bucket.get("uploads/o/1")
    assert found is not None
    assert (found.content, found.content_type) == (b"x", "image/png")
    assert not bucket.renew("uploads/o/none")


def exchange(relay: S3Relay, method: str, link: Link, body: bytes | None = None) -> tuple[int, bytes]:
    parts = urlsplit(link.url)
    path = parts.path if parts.path.startswith(f"/{NAME}/") else f"/{NAME}{parts.path}"
    with closing(http.client.HTTPConnection(urlsplit(relay.url).netloc)) as connection:
        connection.request(method, f"{path}?{parts.query}", body, dict(link.headers))
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_links(bucket: Bucket, relay: S3Relay) -> None:
    link = bucket.upload_link("uploads/o/2", "image/png", 3, 900)
    assert link.headers == {"content-length": "3", "content-type": "image/png", "if-none-match": "*"}
    assert exchange(relay, "PUT", link, b"png")[0] == 200
    found = bucket.get("uploads/o/2")
    assert found is not None
    assert (found.content, found.content_type) == (b"png", "image/png")
    assert exchange(relay, "PUT", link, b"gnp")[0] == 412, "an upload is made once"
    assert exchange(relay, "GET", Link(bucket.download_link("uploads/o/2", 900), {})) == (200, b"png")


def test_every_upload_begins_with_the_uploads_url(bucket: Bucket) -> None:
    payloads = Payloads(bucket, 900, 1_000)
    url = payloads.uploads_url()
    assert url.endswith("/uploads/")
    assert payloads.new_upload("me", "image/png", 7, 0).link.url.startswith(url)


def test_the_lean_one_retries(relay: S3Relay) -> None:
    lean = LeanBucket.from_environment(NAME, {**os.environ, "AWS_ENDPOINT_URL": relay.url}, 1, 5, 3)
    assert lean is not None
    lean.retries.pause = lambda _: None
    relay.failures = [503, 500]
    lean.put("k", b"x", "text/plain")
    assert relay.seen == [f"PUT /{NAME}/k"] * 3
    relay.failures = [503, 503, 503]
    with pytest.raises(Unavailable, match="SlowDown"):
        lean.get("k")
