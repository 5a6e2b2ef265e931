"""The HTTP API as `predict` sees it, and an event loop whose time nobody has to wait for."""

import asyncio
import functools
import io
import json
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx2
import pytest

from async_inference_client import AsyncClient
from scripts.console import CommandError, note
from scripts.operate import predict
from tests.unit.client_plans import BASE, Answer, accepted, status

URL = BASE


class Clock:
    """Time that passes only when every task sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """As asyncio.run."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(main)


class _Selector(selectors.SelectSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will happen")
        self._clock.on_sleep()
        self._clock.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._virtual = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._virtual.now


class Server:
    """Answers calls from a script, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: Iterator[Answer] = iter(())
        self.calls: list[httpx2.Request] = []
        self.respond: Callable[[httpx2.Request], Answer] = lambda _: next(self.answers)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.calls.append(request)
        answer = self.respond(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Api:
    """Accepts each key once, and answers with what it was sent."""

    def __init__(self) -> None:
        self.by_key: dict[str, str] = {}
        self.inputs: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.reject: Callable[[Any], httpx2.Response | None] = lambda _: None
        self.ready: Callable[[Any], bool] = lambda _: True

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return self._accept(json.loads(request.content), request.headers["Idempotency-Key"])
        return self._status(request.url.path.rpartition("/")[2])

    def _accept(self, value: Any, key: str) -> httpx2.Response:
        if (rejection := self.reject(value)) is not None:
            return rejection
        name = self.by_key.setdefault(key, f"r{len(self.by_key)}")
        self.inputs[name] = value
        return accepted(name)

    def _status(self, name: str) -> httpx2.Response:
        self.asked.append(self.inputs[name])
        if not self.ready(self.inputs[name]):
            return status("pending", "7", request_id=name)
        return status("succeeded", request_id=name, result=self.inputs[name])


def serve(monkeypatch: pytest.MonkeyPatch, server: Callable[[httpx2.Request], httpx2.Response]) -> None:
    """Let `predict` talk to a server."""

    async def call(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)  # other tasks run while a call is on its way
        return server(request)

    transport = httpx2.MockTransport(call)
    monkeypatch.setattr(predict, "AsyncClient", functools.partial(AsyncClient, transport=transport))


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = "") -> int:
    monkeypatch.setattr("sys.argv", ["predict", "--url", URL, *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    try:
        return predict.main()
    except CommandError as failure:
        note(f"error: {failure}")
        return failure.code


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
