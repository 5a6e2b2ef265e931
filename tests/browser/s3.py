"""The payload bucket for a browser: an HTTP server of another origin than the API's, with S3's rules for web pages.

It answers a preflight only as the bucket's CORS rule, which is the Terraform module's, says, and takes an upload only
with the signature of its link. Objects are kept in moto.
"""

from __future__ import annotations

import threading
import time
from calendar import timegm
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError

from inference.aws.boto3_bucket import Boto3Bucket
from inference.aws.bucket import LeanBucket
from inference.aws.query_signing import QuerySigner
from inference.aws.signing import Credentials
from inference.store.payloads import Link, StoredObject
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.integration.terraform_definition import Module

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
CHUNK = 65_536


class S3Server:
    """Attributes:
    origins: of the pages that the bucket's rule names.
    seen: method and status of each call.
    faults: for each next upload: a status that it is answered with, or 0: the connection ends in the middle.
    flowing: while this is not set, no more than `stops_after` bytes of an upload are read.
    """

    def __init__(self, s3: Any) -> None:
        self.flowing = threading.Event()
        self.s3 = s3
        self.reset("")
        (rule,) = Module("payload_bucket").resource("aws_s3_bucket_cors_configuration")["cors_rule"]
        self.rule: Mapping[str, Any] = rule
        self.url = ""

    def reset(self, origin: str) -> None:
        """As new, for the pages of an origin."""
        self.origins = [origin]
        self.seen: list[tuple[str, int]] = []
        self.faults: list[int] = []
        self.stops_after = 0
        self.flowing.set()

    def allowed(self, origin: str | None, method: str, headers: Sequence[str] = ()) -> dict[str, str] | None:
        """The headers of an answer to a page, or None if the rule does not let it make this call."""
        taken = {name.lower() for name in self.rule["allowed_headers"]}
        if origin not in self.origins or method not in self.rule["allowed_methods"] or set(headers) - taken:
            return None
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": ", ".join(self.rule["allowed_methods"]),
            "Access-Control-Allow-Headers": ", ".join(headers),
            "Access-Control-Expose-Headers": ", ".join(self.rule["expose_headers"]),
            "Access-Control-Max-Age": "0",  # not the rule's: each test sees its own preflight
            "Vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
        }

    def is_signed(self, target: str, headers: Mapping[str, str]) -> bool:
        """Whether the headers have the values that were signed with the link."""
        parts, query = urlsplit(target), {name: each[0] for name, each in parse_qs(urlsplit(target).query).items()}
        names = query["X-Amz-SignedHeaders"].split(";")
        signed = {name: headers.get(name, "") for name in names if name != "host"}
        at = timegm(time.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
        root = f"/{PAYLOAD_BUCKET}/"
        signer = QuerySigner(Credentials("test", "test", None), "us-east-1", headers["host"], root)
        key = unquote(parts.path).removeprefix(root)
        again = signer.target("PUT", key, at, int(query["X-Amz-Expires"]), headers=signed)
        return again.rpartition("=")[2] == query["X-Amz-Signature"]

    def read(self, target: str) -> StoredObject | None:
        """The object that a link leads to; None: there is none."""
        key = unquote(urlsplit(target).path).removeprefix(f"/{PAYLOAD_BUCKET}/")
        return Boto3Bucket(self.s3, PAYLOAD_BUCKET).get(key)

    def keep(self, target: str, content: bytes, content_type: str) -> int:
        """Keep an object, unless it is there. Returns the status."""
        key = unquote(urlsplit(target).path).removeprefix(f"/{PAYLOAD_BUCKET}/")
        try:
            self.s3.put_object(Bucket=PAYLOAD_BUCKET, Key=key, Body=content, ContentType=content_type, IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200


class LinkedBucket(Boto3Bucket):
    """moto's bucket. Its links lead to the server, signed as the api function signs them."""

    def __init__(self, server: S3Server) -> None:
        super().__init__(server.s3, PAYLOAD_BUCKET)
        lean = LeanBucket.from_environment(PAYLOAD_BUCKET, {**KEYS, "AWS_ENDPOINT_URL": server.url}, 1, 3, 3)
        assert lean is not None
        self._lean = lean

    def upload_link(self, key: str, content_type: str, size: int, seconds: int) -> Link:
        return self._lean.upload_link(key, content_type, size, seconds)

    def download_link(self, key: str, seconds: int, version_id: str | None = None) -> str:
        return self._lean.download_link(key, seconds, version_id)


@contextmanager
def serving_s3(s3: Any) -> Iterator[S3Server]:
    """The server, until the block ends."""
    found = S3Server(s3)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_OPTIONS(self) -> None:
            asked = self.headers.get("access-control-request-headers", "").replace(" ", "").split(",")
            method = self.headers.get("access-control-request-method", "")
            allowed = found.allowed(self.headers.get("origin"), method, [name for name in asked if name])
            if allowed is None:
                self._answer(403, {}, "CORSResponse: This CORS request is not allowed.")
            else:
                self._answer(200, allowed)

        def do_GET(self) -> None:
            """A link in a page: a file of a result, or a picture. Whether links are signed is tested elsewhere."""
            stored = found.read(self.path)
            if stored is None:
                self._answer(404, {}, "The specified key does not exist.")
            else:
                self._answer(200, {"Content-Type": stored.content_type}, content=stored.content)

        def do_PUT(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            allowed = found.allowed(headers.get("origin"), "PUT") or {}
            size, fault = int(headers["content-length"]), found.faults.pop(0) if found.faults else None
            content = self._read(size // 2 if fault == 0 else size)
            if content is None or fault == 0:
                self.close_connection = True
                self.connection.close()
                found.seen.append(("PUT", 0))
            elif fault is not None:
                self._answer(fault, allowed, "Please reduce your request rate.")
            elif not found.is_signed(self.path, headers):
                self._answer(403, allowed, "The request signature we calculated does not match.")
            else:
                self._answer(found.keep(self.path, content, headers["content-type"]), allowed)

        def _read(self, size: int) -> bytes | None:
            """So many bytes, or None if the connection ends before."""
            content = bytearray()
            while len(content) < size:
                if len(content) >= found.stops_after:
                    found.flowing.wait()
                try:
                    chunk = self.rfile.read(min(CHUNK, size - len(content)))
                except OSError:
                    return None
                if not chunk:
                    return None
                content += chunk
            return bytes(content)

        def _answer(self, status: int, headers: Mapping[str, str], message: str = "", content: bytes = b"") -> None:
            found.seen.append((self.command, status))
            body = f"<Error><Message>{message}</Message></Error>".encode() if message else content
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield found
        finally:
            found.flowing.set()
            server.shutdown()
            thread.join()
