"""DynamoDB, SQS and S3 in memory, behind HTTP: answers at once and plausibly, checks no condition, counts every call.

    python -m scripts.bench.fake_aws [file with key and certificates]      with a file it speaks TLS, as AWS does

It runs in a process of its own, so that the CPU time of a client is measured without that of the service. One thread,
persistent connections.

    GET  /_fake/counts   {"calls": {target: n}, "statements": n, "samples": {target: first request bodies}}
    POST /_fake/reset    forget the counts
    POST /_fake/finish   {"result": JSON text}: let all requests be succeeded
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
import sys
import uuid
import zlib
from collections import Counter
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

HOST = "127.0.0.1"
KEPT_ITEMS = 20_000
SAMPLES = 2  # a worker's claim and its finish
_ASSIGNMENT = re.compile(r"(#?\w+) = (:\w+)")
_MEMBER = re.compile(r"'(\w+)': \?")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")

# What a worker finds when it claims a request that no api function has written here.
_RUNNING: dict[str, dict[str, str]] = {
    "status": {"S": "running"},
    "model": {"S": "sentiment"},
    "caller": {"S": "anonymous"},
    "submitted_at": {"N": "1800000000000"},
    "expires_at": {"N": "4000000000000"},
    "delete_at": {"N": "4000000000"},
    "attempt_limit": {"N": "5"},
    "attempts": {"N": "1"},
}


class Answers:
    """The services' responses, by `answer`; HTTP is in `Connection`."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], dict[str, Any]] = {}
        self._objects: dict[str, tuple[bytes, str]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget the counts; what was put stays."""
        self.calls: Counter[str] = Counter()
        self.statements = 0
        self.samples: dict[str, list[Any]] = {}

    def counts(self) -> dict[str, Any]:
        """Calls by target, PartiQL statements, and the first request bodies of each target."""
        return {"calls": dict(self.calls), "statements": self.statements, "samples": self.samples}

    def answer(self, target: str, body: bytes) -> tuple[int, bytes]:
        """HTTP status and body of one call; `target` is its X-Amz-Target."""
        request = json.loads(body)
        self.calls[target] += 1
        seen = self.samples.setdefault(target, [])
        if len(seen) < SAMPLES:
            seen.append(request)
        operation = getattr(self, "_" + target.partition(".")[2], None)
        if operation is None:
            error = {"__type": "UnknownOperationException", "message": f"the fake does not support {target}"}
            return 400, json.dumps(error).encode()
        return 200, json.dumps(operation(request)).encode()

    def finish(self, result: str) -> None:
        """Let all our requests in the table be succeeded with this result, as JSON text; the reference's stay."""
        for item in self._items.values():
            if {"status", "submitted_at"} <= item.keys():
                item |= {"status": {"S": "succeeded"}, "result": {"S": result}, "finished_at": item["submitted_at"]}

    # DynamoDB

    def _put(self, table: str, item: dict[str, Any]) -> None:
        self._items[(table, item["request_id"]["S"])] = item
        if len(self._items) > KEPT_ITEMS:
            del self._items[next(iter(self._items))]

    def _PutItem(self, request: dict[str, Any]) -> dict[str, Any]:
        self._put(request["TableName"], request["Item"])
        return {}

    def _BatchGetItem(self, request: dict[str, Any]) -> dict[str, Any]:
        ((table, wanted),) = request["RequestItems"].items()
        names = set(wanted["ExpressionAttributeNames"].values())
        items = (self._items.get((table, key["request_id"]["S"])) for key in wanted["Keys"])
        shown = [{name: value for name, value in item.items() if name in names} for item in items if item is not None]
        return {"Responses": {table: shown}}

    def _GetItem(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self._items.get((request["TableName"], request["Key"]["request_id"]["S"]))
        return {} if item is None else {"Item": item}

    def _UpdateItem(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("ReturnValues", "NONE") == "NONE":
            return {}
        place = (request["TableName"], request["Key"]["request_id"]["S"])
        item = self._items.get(place, _RUNNING | request["Key"])
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        assignments, _, removed = request["UpdateExpression"].partition("REMOVE ")
        assigned = {names.get(name, name): values[value] for name, value in _ASSIGNMENT.findall(assignments)}
        gone = {names.get(name, name) for name in removed.split(", ")}
        item = {name: value for name, value in (item | assigned).items() if name not in gone}
        if place in self._items:
            self._items[place] = item
        return {"Attributes": item}

    def _DeleteItem(self, request: dict[str, Any]) -> dict[str, Any]:
        self._items.pop((request["TableName"], request["Key"]["request_id"]["S"]), None)
        return {}

    def _BatchExecuteStatement(self, request: dict[str, Any]) -> dict[str, Any]:
        self.statements += len(request["Statements"])
        for statement in request["Statements"]:
            text = statement["Statement"]
            if text.startswith("INSERT"):
                item = dict(zip(_MEMBER.findall(text), statement["Parameters"], strict=True))
                self._put(text.split('"')[1], item)
        return {"Responses": [{"TableName": "requests"} for _ in request["Statements"]]}

    # SQS

    def _SendMessage(self, request: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.md5(request["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest}

    def _SendMessageBatch(self, request: dict[str, Any]) -> dict[str, Any]:
        sent = [{"Id": entry["Id"], **self._SendMessage(entry)} for entry in request["Entries"]]
        return {"Successful": sent, "Failed": []}

    def _ChangeMessageVisibility(self, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    _DeleteMessage = _ChangeMessageVisibility

    def _ChangeMessageVisibilityBatch(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]], "Failed": []}

    _DeleteMessageBatch = _ChangeMessageVisibilityBatch

    # S3

    def object(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str]:
        """Status, body and more headers of a call of S3; `path` is /bucket/key."""
        self.calls[f"S3.{method}"] += 1
        if method == "PUT":
            self._objects[path] = body, headers.get("content-type", "")
            return 200, b"", ""
        if method == "DELETE":
            self._objects.pop(path, None)
            return 204, b"", ""
        if path not in self._objects:
            return 404, b"", ""
        content, kind = self._objects[path]
        wanted = _RANGE.fullmatch(headers.get("range", "bytes=0-"))
        first, last = (int(wanted[1]), wanted[2]) if wanted else (0, "")
        part = content[first : int(last) + 1] if last else content[first:]
        more = f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(content)}\r\n"
        return 206, part, f"{more}Content-Type: {kind}\r\nLast-Modified: {formatdate(usegmt=True)}\r\n"


class Connection(asyncio.Protocol):
    """One kept HTTP/1.1 connection; requests have a Content-Length or no body."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            first, *lines = self._received[:end].decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            self._transport.write(self._respond(first, headers, body))

    def _respond(self, first: str, headers: dict[str, str], body: bytes) -> bytes:
        method, path, _ = first.split(" ", 2)
        status, more = 200, "Content-Type: application/x-amz-json-1.0\r\n"
        if path == "/_fake/counts":
            content = json.dumps(self._answers.counts()).encode()
        elif path == "/_fake/reset" and method == "POST":
            self._answers.reset()
            content = b"{}"
        elif path == "/_fake/finish" and method == "POST":
            self._answers.finish(json.loads(body)["result"])
            content = b"{}"
        elif "x-amz-target" in headers:
            status, content = self._answers.answer(headers["x-amz-target"], body)
        else:
            status, content, more = self._answers.object(method, path.partition("?")[0], headers, body)
        return (
            f"HTTP/1.1 {status} {'OK' if status < 300 else 'Bad Request'}\r\n{more}"
            f"Content-Length: {len(content)}\r\n"
            f"x-amzn-RequestId: {uuid.uuid4()}\r\nx-amz-crc32: {zlib.crc32(content)}\r\n\r\n"
        ).encode() + content


async def serve(certificate: str | None) -> None:
    """Listen on a free port of loopback, print it, and serve until stdin is closed, as when the parent process ends."""
    answers = Answers()
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), HOST, 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else None))
