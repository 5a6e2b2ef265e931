"""The API behind httpx2.MockTransport, and either Python client in front of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx2

from async_inference_client import AsyncClient, Client
from tests.unit.client_plans import BASE, accepted, status


class Api:
    """Accepts each key once; the result of a request is its input."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.inputs: dict[str, Any] = {}
        self.final: set[str] = set()
        self.most_open = 0
        self.seen: list[httpx2.Request] = []
        self.respond: Callable[[httpx2.Request, Any], httpx2.Response | None] = lambda request, value: None
        self.ready: Callable[[Any], bool] = lambda _: True
        self._lock = threading.Lock()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        with self._lock:
            self.seen.append(request)
            submits = "/predict" in request.url.path
            name = request.url.path.rpartition("/")[2]
            value = json.loads(request.content) if submits else self.inputs.get(name)
            if (answer := self.respond(request, value)) is not None:
                return answer
            if submits:
                name = self.ids.setdefault(request.headers["Idempotency-Key"], f"r{len(self.ids)}")
                self.inputs[name] = value
                self.most_open = max(self.most_open, len(self.inputs) - len(self.final))
                return accepted(name, "0")
            if request.url.path.startswith("/cancel"):
                return status("cancelled", request_id=name)
            if not self.ready(value):
                return status("pending", "0", request_id=name)
            self.final.add(name)
            return status("succeeded", request_id=name, result=value)


def sync_client(api: Api, **more: Any) -> Client:
    return Client(BASE, transport=httpx2.MockTransport(api), **more)


def async_client(api: Api, **more: Any) -> AsyncClient:
    return AsyncClient(BASE, transport=httpx2.MockTransport(api), **more)


def caller(kind: str, api: Api) -> Callable[..., Any]:
    """Calls a method of the `sync` or `async` client by its name; `map` returns a list."""

    def call_sync(method: str, *arguments: Any, **more: Any) -> Any:
        with sync_client(api) as client:
            found = getattr(client, method)(*arguments, **more)
            return list(found) if method == "map" else found

    def call_async(method: str, *arguments: Any, **more: Any) -> Any:
        async def called() -> Any:
            async with async_client(api) as client:
                found = getattr(client, method)(*arguments, **more)
                return [outcome async for outcome in found] if method == "map" else await found

        return asyncio.run(called())

    return call_sync if kind == "sync" else call_async
