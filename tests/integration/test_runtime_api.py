"""The bench's Runtime API, spoken to as a runtime client does it."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from scripts.bench.runtime_api import VERSION, FunctionError, RuntimeApi


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi(timeout_seconds=7) as running:
        yield running


def _runtime(api: RuntimeApi) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(api.address, timeout=5)


def _next(runtime: http.client.HTTPConnection) -> tuple[Any, Any]:
    runtime.request("GET", f"{VERSION}/invocation/next")
    response = runtime.getresponse()
    return json.loads(response.read()), response.headers


def _post(runtime: http.client.HTTPConnection, path: str, body: Any) -> int:
    runtime.request("POST", f"{VERSION}/{path}", json.dumps(body))
    response = runtime.getresponse()
    response.read()
    return response.status


def _serve(api: RuntimeApi, count: int, kind: str, body: Any, events: list[Any]) -> threading.Thread:
    """A function's process: takes so many events, answers each with `body`."""

    def loop() -> None:
        with closing(_runtime(api)) as runtime:
            for _ in range(count):
                event, headers = _next(runtime)
                events.append((event, headers))
                _post(runtime, f"invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/{kind}", body)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return thread


def test_events_go_out_and_answers_come_back(api: RuntimeApi) -> None:
    events: list[Any] = []
    thread = _serve(api, 2, "response", {"ok": True}, events)
    api.wait_until_ready(5)
    assert api.ready_at is not None
    replies = [api.invoke({"number": number}, 5) for number in range(2)]
    thread.join(5)
    assert [reply.payload for reply in replies] == [{"ok": True}] * 2
    assert api.ready_at <= replies[0].at <= replies[1].at
    assert [event for event, _ in events] == [{"number": 0}, {"number": 1}]
    ids = {headers["Lambda-Runtime-Aws-Request-Id"] for _, headers in events}
    assert len(ids) == 2
    left = int(events[0][1]["Lambda-Runtime-Deadline-Ms"]) / 1000 - time.time()
    assert 0 < left <= 7


def test_a_handlers_error_reaches_the_caller(api: RuntimeApi) -> None:
    thread = _serve(api, 1, "error", {"errorType": "KeyError", "errorMessage": "'Records'"}, [])
    with pytest.raises(FunctionError, match="KeyError: 'Records'"):
        api.invoke({}, 5)
    thread.join(5)


def test_a_failed_init_ends_the_wait(api: RuntimeApi) -> None:
    failed = {"errorType": "ImportError", "errorMessage": "no torch"}
    with closing(_runtime(api)) as runtime:
        assert _post(runtime, "init/error", failed) == 202
    with pytest.raises(FunctionError, match="no torch"):
        api.wait_until_ready(5)


def test_nobody_asks_nobody_answers(api: RuntimeApi) -> None:
    with pytest.raises(FunctionError, match="no call for an event within"):
        api.wait_until_ready(0.05)
    with pytest.raises(FunctionError, match="no answer within"):
        api.invoke({}, 0.05)
