"""DynamoDB and SQS in memory, behind HTTP: answers at once and plausibly, checks no condition, counts every call.

    python -m scripts.bench.fake_aws [file with key and certificates]      with a file it speaks TLS, as AWS does

It runs in a process of its own, so that the CPU time of a client is measured without that of the service. One thread,
persistent connections.

    GET  /_fake/counts   {"calls": {target: n}, "statements": n, "samples": {target: first request bodies}}
    POST /_fake/reset    forget the counts
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
from typing import Any

HOST = "127.0.0.1"
KEPT_ITEMS = 20_000
SAMPLES = 2  # a worker's claim and its finish
_ASSIGNMENT = re.compile(r"(#?\w+) = (:\w+)")

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

    # DynamoDB

    def _PutItem(self, request: dict[str, Any]) -> dict[str, Any]:
        item = request["Item"]
        self._items[(request["TableName"], item["request_id"]["S"])] = item
        if len(self._items) > KEPT_ITEMS:
            del self._items[next(iter(self._items))]
        return {}

    def _GetItem(self, request: dict[str, Any]) -> dict[str, Any]:
        item = self._items.get((request["TableName"], request["Key"]["request_id"]["S"]))
        return {} if item is None else {"Item": item}

    def _UpdateItem(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("ReturnValues", "NONE") == "NONE":
            return {}
        key = request["Key"]
        item = self._items.get((request["TableName"], key["request_id"]["S"]), _RUNNING | key)
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        assigned = {
            names.get(name, name): values[value] for name, value in _ASSIGNMENT.findall(request["UpdateExpression"])
        }
        return {"Attributes": item | assigned}

    def _DeleteItem(self, request: dict[str, Any]) -> dict[str, Any]:
        self._items.pop((request["TableName"], request["Key"]["request_id"]["S"]), None)
        return {}

    def _BatchExecuteStatement(self, request: dict[str, Any]) -> dict[str, Any]:
        self.statements += len(request["Statements"])
        return {"Responses": [{"TableName": "requests"} for _ in request["Statements"]]}

    # SQS

    def _SendMessage(self, request: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.md5(request["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest}

    def _ChangeMessageVisibility(self, request: dict[str, Any]) -> dict[str, Any]:
        return {}

    _DeleteMessage = _ChangeMessageVisibility

    def _ChangeMessageVisibilityBatch(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]], "Failed": []}

    _DeleteMessageBatch = _ChangeMessageVisibilityBatch


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
        status, kind = 200, "application/x-amz-json-1.0"
        if path == "/_fake/counts":
            content = json.dumps(self._answers.counts()).encode()
        elif path == "/_fake/reset" and method == "POST":
            self._answers.reset()
            content = b"{}"
        else:
            status, content = self._answers.answer(headers.get("x-amz-target", ""), body)
        return (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Bad Request'}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
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
