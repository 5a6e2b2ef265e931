"""The synchronous app on fake models, called as a server calls it, without a socket. Each response is compared with its
description."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import FastAPI

from tests import sync_openapi
from tests.unit.fakes import Recorder
from tests.unit.samples import validate_text
from tests.unit.worker_harness import EchoModel
from worker.direct import DirectPrediction
from worker.sync.app import create_app
from worker.sync.lane import Lane
from worker.sync.predictions import Limits, Predictions

ASYNC_URL = "https://api.example.com"


class Answer(NamedTuple):
    """A response; `json` is its body."""

    status: int
    headers: Mapping[str, str]
    json: Any


class SyncHarness:
    """An app with the models `echo` and `other`."""

    def __init__(
        self, limits: Limits | None = None, lane: Lane | None = None, async_url: str | None = ASYNC_URL
    ) -> None:
        self.log = Recorder()
        self.model, self.other = EchoModel(), EchoModel()
        self.lane = lane or Lane(max_waiting=1)
        self.seconds = 30.0
        self.predictions = Predictions(
            {
                name: DirectPrediction(model, validate_text, self.log)
                for name, model in {"echo": self.model, "other": self.other}.items()
            },
            self.lane,
            limits or Limits(1000, 5),
            async_url,
        )
        self.app = create_app(self.predictions, self.log, lambda request: self.seconds, lambda: '{"openapi": "3.1.0"}')

    def post(self, path: str, value: Any, **headers: str) -> Answer:
        """One call. `value`: what is sent as JSON; bytes are sent as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return asyncio.run(call(self.app, "POST", path, [body], headers))

    def get(self, path: str, method: str = "GET") -> Answer:
        return asyncio.run(call(self.app, method, path, [b""], {}))


async def call(app: FastAPI, method: str, path: str, parts: Sequence[bytes], headers: Mapping[str, str]) -> Answer:
    """Call an app. Header names are written with underscores."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    incoming = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, start=1)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    answer = Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, json.loads(body))
    route = f"{method} {re.sub('^/models/[a-z]+/', '/models/{model}/', path)}"
    if route in sync_openapi.OPERATIONS:
        sync_openapi.check(route, *answer)
    return answer
