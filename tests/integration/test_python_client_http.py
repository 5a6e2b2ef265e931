"""The Python client against the api function, through real HTTP: contract, lost responses, deadlines, proxies."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from async_inference_client import AsyncClient, Client, _pauses, errors
from tests.integration.http_server import HttpServer, serving
from tests.integration.system import System

TEXT = {"text": "what a lovely day"}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the time: the api function asks for whole seconds."""
    at_least = _pauses.Pauses._at_least
    monkeypatch.setattr(_pauses.Pauses, "_at_least", lambda self, seconds: at_least(self, seconds / 10))
    monkeypatch.setattr(_pauses, "FIRST_BACKOFF_SECONDS", 0.05)


@pytest.fixture
def served(system: System) -> Iterator[tuple[HttpServer, str]]:
    with serving(system) as found:
        yield found


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a method of either client by its name; `map` returns a list."""

    def call_sync(url: str, method: str, *arguments: Any, **more: Any) -> Any:
        with Client(url, request_timeout=5) as client:
            found = getattr(client, method)(*arguments, **more)
            return list(found) if method == "map" else found

    def call_async(url: str, method: str, *arguments: Any, **more: Any) -> Any:
        async def called() -> Any:
            async with AsyncClient(url, request_timeout=5) as client:
                found = getattr(client, method)(*arguments, **more)
                return [outcome async for outcome in found] if method == "map" else await found

        return asyncio.run(called())

    return call_sync if request.param == "sync" else call_async


def test_a_request_from_submit_to_result(served: tuple[HttpServer, str], call: Callable[..., Any]) -> None:
    _, url = served
    accepted = call(url, "submit", TEXT, model="sentiment")
    final = call(url, "wait", accepted.request_id, timeout=20)
    assert final.status == "succeeded"
    assert final.unwrap()["prediction"] == "positive"
    assert final.submitted_at <= final.started_at <= final.finished_at
    assert final.attempts == 1
    with pytest.raises(errors.AlreadyFinal) as raised:
        call(url, "cancel", accepted.request_id)
    assert raised.value.request_status == "succeeded"


def test_the_apis_errors_have_their_classes(served: tuple[HttpServer, str], call: Callable[..., Any]) -> None:
    _, url = served
    for error, method, arguments, more in (
        (errors.InvalidInput, "submit", ({"text": ""},), {}),
        (errors.UnknownModel, "submit", (TEXT,), {"model": "no such/model"}),
        (errors.TooLarge, "submit", ({"text": "x" * 4_600_000},), {}),
        (errors.UnknownRequest, "get", ("nobody's",), {}),
    ):
        with pytest.raises(error):
            call(url, method, *arguments, **more)


def test_a_key_given_twice_is_one_request(served: tuple[HttpServer, str], call: Callable[..., Any]) -> None:
    _, url = served
    ids = {call(url, "submit", TEXT, idempotency_key='my "key"').request_id for _ in range(2)}
    assert len(ids) == 1
    with pytest.raises(errors.IdempotencyKeyReused) as raised:
        call(url, "submit", {"text": "another"}, idempotency_key='my "key"')
    assert {raised.value.request_id} == ids


def test_a_response_that_is_lost_makes_no_second_request(
    served: tuple[HttpServer, str], call: Callable[..., Any], system: System
) -> None:
    api, url = served
    api.faults.extend(["lose", "lose", "answer", "lose"])
    assert call(url, "predict", TEXT, timeout=20)["prediction"] == "positive"
    submits = [headers for method, _, headers in api.seen if method == "POST"]
    assert len(submits) == 3
    assert len({headers["idempotency-key"] for headers in submits}) == 1
    assert len(system.model.passes) == 1


def test_a_file_whose_submits_lose_their_responses_runs_once(
    served: tuple[HttpServer, str], system: System, tmp_path: Path
) -> None:
    api, url = served
    path = tmp_path / "inputs.jsonl"
    texts = [f"what a lovely day {number}" for number in range(90)]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    api.faults.extend(["lose", "lose"])
    with Client(url, request_timeout=20) as client:
        first = client.batch_file(path)
        again = client.batch_file(path)  # as another process would after an interruption
        assert again.batch_id == first.batch_id
        items = list(again.results(timeout=120))
    assert [item.index for item in items] == list(range(90))
    assert {item.unwrap()["prediction"] for item in items} == {"positive"}
    assert sorted(value["text"] for inputs in system.model.passes for value in inputs) == sorted(texts)


def test_a_hanging_call_ends_at_the_deadline(served: tuple[HttpServer, str], call: Callable[..., Any]) -> None:
    api, url = served
    api.work = False
    request_id = call(url, "submit", TEXT).request_id
    api.faults.extend(["hang"] * 9)
    began = time.monotonic()
    with pytest.raises(errors.ConnectionFailed) as raised:
        call(url, "wait", request_id, timeout=1.2)
    assert raised.value.request_id == request_id
    assert 1.2 <= time.monotonic() - began < 5, "one call's shortest timeout after the deadline at most"


def test_nobody_listening_is_said_at_once(call: Callable[..., Any]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(errors.ConnectionFailed, match="no answer from") as raised:
        call(url, "submit", TEXT)
    assert raised.value.refused
    assert time.monotonic() - began < 5


def test_calls_to_this_machine_use_no_proxy(
    served: tuple[HttpServer, str], call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert call(served[1], "submit", TEXT).request_id


def test_map_over_real_connections_with_lost_responses(
    served: tuple[HttpServer, str], call: Callable[..., Any], system: System
) -> None:
    api, url = served
    api.faults.extend(["answer", "lose", "answer"] * 10)
    texts = [{"text": f"lovely day {number}"} for number in range(20)]
    found = call(url, "map", texts, concurrency=8, timeout=120)
    assert [outcome.input for outcome in found] == texts
    assert {outcome.unwrap()["prediction"] for outcome in found} == {"positive"}
    assert len({outcome.accepted.request_id for outcome in found}) == 20
    assert sum(len(inputs) for inputs in system.model.passes) == 20, "none was computed twice"
