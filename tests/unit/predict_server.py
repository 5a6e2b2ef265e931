"""The HTTP API as `predict` sees it, from a script, and a clock that nobody has to wait for."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

import pytest

from inference.errors import InferenceError
from inference.http.problems import INTERNAL_ERROR, PROBLEMS
from scripts.console import CommandError
from scripts.operate import predict
from scripts.operate.client import Client, Reply

Answer = Reply | Exception
URL = "https://api.test"


class Server:
    """Answers calls from a script, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: Iterator[Answer] = iter(())
        self.calls: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.respond: Callable[[str, str, bytes], Answer] | None = None

    def call(
        self, client: Client, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        self.calls.append((method, path, body, dict(headers or {})))
        answer = self.respond(method, path, body) if self.respond else next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.on_sleep()
        self.pauses.append(seconds)
        self.now += seconds


def accepted(request_id: str = "r1") -> Reply:
    return Reply(202, {"retry-after": "1"}, {"request_id": request_id, "status": "pending"})


def status(value: str, retry_after: str | None = None, **more: Any) -> Reply:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Reply(200, headers, {"request_id": "r1", "status": value, "result": None, "error": None, **more})


def problem(error: type[InferenceError] | None = None) -> Reply:
    """The API's answer to an error; without one, to an error that is not in the map."""
    answer = PROBLEMS[error] if error else INTERNAL_ERROR
    headers = {name.lower(): value for name, value in answer.headers.items()}
    body = {"type": answer.type, "title": answer.title, "status": answer.status, "detail": f"because {answer.status}"}
    return Reply(answer.status, headers, body)


THROTTLED = Reply(429, {}, {"message": "Too Many Requests"})
"""API Gateway's answer, which has no type."""


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = "") -> int:
    monkeypatch.setattr("sys.argv", ["predict", "--url", URL, *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    try:
        return predict.main()
    except CommandError as failure:
        return failure.code


class Api:
    """Accepts each key once, and answers with what it was sent."""

    def __init__(self) -> None:
        self.by_key: dict[str, str] = {}
        self.inputs: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.reject: Callable[[Any], Reply | None] = lambda _: None
        self.ready: Callable[[Any], bool] = lambda _: True
        self._lock = Lock()

    def call(self, client: Client, method: str, path: str, body: bytes = b"", headers: Any = None) -> Reply:
        with self._lock:
            return self._accept(json.loads(body), headers) if method == "POST" else self._status(path)

    def _accept(self, value: Any, headers: Mapping[str, str]) -> Reply:
        if (rejection := self.reject(value)) is not None:
            return rejection
        name = self.by_key.setdefault(headers["Idempotency-Key"], f"r{len(self.by_key)}")
        self.inputs[name] = value
        return accepted(name)

    def _status(self, path: str) -> Reply:
        name = path.rpartition("/")[2]
        self.asked.append(self.inputs[name])
        if not self.ready(self.inputs[name]):
            return status("pending", "7", request_id=name)
        return status("succeeded", request_id=name, result=self.inputs[name])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
