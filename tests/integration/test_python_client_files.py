"""Uploads, files of results and erasing by the Python client: against the api function and moto's S3, by real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from async_inference_client import ApiKey, AsyncClient, Client, _lines, _pauses, errors
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.integration.clients.s3_relay import S3Relay
from tests.integration.http_server import HttpServer, serving
from tests.integration.system import System
from tests.integration.test_payloads import PNG, Painter, run
from tests.unit.fakes import ReadyModel

TEXT = {"text": "what a lovely day"}
LONG = b" " * 1_000_000 + b'{"text": "what a lovely day"}'


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A twentieth of the time: the api function asks for whole seconds."""
    at_least = _pauses.Pauses._at_least
    monkeypatch.setattr(_pauses.Pauses, "_at_least", lambda self, seconds: at_least(self, seconds / 20))
    monkeypatch.setattr(_pauses, "FIRST_BACKOFF_SECONDS", 0.05)


@pytest.fixture
def relay() -> Iterator[S3Relay]:
    with S3Relay() as relay:
        yield relay


@pytest.fixture
def served(system: System) -> Iterator[tuple[HttpServer, str]]:
    with serving(system) as found:
        yield found


def to_the_relay(relay: S3Relay, request: httpx2.Request) -> httpx2.Request:
    """Links name S3, which answers at the relay."""
    if request.url.host.endswith(".amazonaws.com"):
        path = f"/{PAYLOAD_BUCKET}{request.url.raw_path.decode()}"
        request.url = httpx2.URL(relay.url).copy_with(raw_path=path.encode())
    return request


@pytest.fixture
def client(relay: S3Relay, served: tuple[HttpServer, str]) -> Iterator[Client]:
    class Transport(httpx2.HTTPTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            return super().handle_request(to_the_relay(relay, request))

    auth, transport = ApiKey("secret"), Transport()
    with Client(served[1], auth=auth, retry_seconds=20, request_timeout=20, transport=transport) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, relay: S3Relay, served: tuple[HttpServer, str]) -> Callable[..., Any]:
    """Calls a method of either client by its name."""

    class AsyncTransport(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return await super().handle_async_request(to_the_relay(relay, request))

    def call_sync(method: str, *arguments: Any, **more: Any) -> Any:
        return getattr(request.getfixturevalue("client"), method)(*arguments, **more)

    def call_async(method: str, *arguments: Any, **more: Any) -> Any:
        async def called() -> Any:
            client = AsyncClient(
                served[1], auth=ApiKey("secret"), retry_seconds=2, request_timeout=5, transport=AsyncTransport()
            )
            async with client:
                return await getattr(client, method)(*arguments, **more)

        return asyncio.run(called())

    return call_sync if request.param == "sync" else call_async


def test_an_uploaded_file_is_the_input(call: Callable[..., Any], relay: S3Relay, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_bytes(LONG)
    reference = call("upload", tmp_path / "input.json", "application/json")
    assert call("predict", reference, timeout=20)["prediction"] == "positive"
    (headers,) = relay.headers
    assert "secret" not in str(headers), "the API's key is not S3's business"
    assert (headers["content-length"], headers["content-type"]) == (str(len(LONG)), "application/json")
    assert "transfer-encoding" not in headers


@pytest.mark.parametrize("trouble", ["lost", "503"])
def test_an_upload_that_is_repeated(call: Callable[..., Any], relay: S3Relay, system: System, trouble: str) -> None:
    relay.losses, relay.failures = (1, []) if trouble == "lost" else (0, [503])
    assert call("upload", LONG, "application/json").keys() == {"$ref"}
    (key,) = system.objects()
    assert system.s3.get_object(Bucket=PAYLOAD_BUCKET, Key=key)["Body"].read() == LONG
    assert len(relay.seen) == 2


def test_files_of_a_result(
    call: Callable[..., Any], system: System, served: tuple[HttpServer, str], relay: S3Relay, tmp_path: Path
) -> None:
    served[0].work = False
    accepted = call("submit", {"text": "a b"}, model="wordcount")
    assert run(system, Painter()) == []
    request = call("wait", accepted.request_id, timeout=5)
    assert request.result == {"image": {"$ref": "#/files/0"}, "words": 2}
    (file,) = request.files
    relay.losses = 1
    assert call("download", file) == PNG
    assert call("save", file, tmp_path / "image.png") == tmp_path / "image.png"
    assert (tmp_path / "image.png").read_bytes() == PNG
    for key in system.objects():
        system.s3.put_object(Bucket=PAYLOAD_BUCKET, Key=key, Body=b"another")
    with pytest.raises(errors.CorruptDownload):
        call("save", file, tmp_path / "image.png")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("image.png", PNG)]


def test_a_result_that_does_not_fit_in_its_record(
    call: Callable[..., Any], system: System, served: tuple[HttpServer, str]
) -> None:
    class Long(ReadyModel):
        def predict(self, inputs: list[Any]) -> Sequence[Any]:
            return [{"words": ["word"] * 100_000} for _ in inputs]

    served[0].work = False
    accepted = call("submit", {"text": "a b"}, model="wordcount")
    assert run(system, Long()) == []
    assert call("resume", accepted.request_id, timeout=5) == {"words": ["word"] * 100_000}


LINES = 21


@pytest.fixture
def uploads_above_twenty_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lines, "MAX_ITEMS", LINES - 1)


def lines_file(path: Path, lines: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.usefixtures("uploads_above_twenty_lines")
def test_a_long_file_is_uploaded_and_runs_once(
    client: Client, served: tuple[HttpServer, str], relay: S3Relay, system: System, tmp_path: Path
) -> None:
    texts = [f"what a lovely day {number}" for number in range(LINES)]
    path = lines_file(tmp_path / "inputs.jsonl", [{"text": text} for text in texts])
    served[0].faults.extend(["lose", "answer", "lose"])  # POST /uploads, again, POST /batch
    relay.losses = 1
    first = client.batch_file(path)
    again = client.batch_file(path)  # as another process would after an interruption
    assert first.accepted is not None and first.accepted.status == "checking"
    assert again.batch_id == first.batch_id
    items = list(again.results(timeout=120))
    assert [item.index for item in items] == list(range(len(texts)))
    assert {item.unwrap()["prediction"] for item in items} == {"positive"}
    assert sorted(value["text"] for inputs in system.model.passes for value in inputs) == sorted(texts)
    assert len(system.objects()) == 1, "the file of the second call, which the bucket's lifecycle deletes"


@pytest.mark.usefixtures("uploads_above_twenty_lines")
def test_a_long_file_with_invalid_lines_runs_not_at_all(client: Client, system: System, tmp_path: Path) -> None:
    lines: list[Any] = [TEXT] * LINES
    lines[7] = {"text": ""}
    batch = client.batch_file(lines_file(tmp_path / "inputs.jsonl", lines))
    with pytest.raises(errors.InvalidLines) as raised:
        list(batch.results(timeout=20))
    assert (raised.value.count, [index for index, _ in raised.value.errors]) == (1, [7])
    assert system.model.passes == []


def test_erasing(call: Callable[..., Any], served: tuple[HttpServer, str], system: System) -> None:
    reference = call("upload", b'"a b"', "application/json")
    accepted = call("submit", {"text": reference}, model="wordcount")
    served[0].faults.append("lose")
    assert call("delete", accepted.request_id) is None
    assert (system.objects(), system.records()) == ([], {})
    with pytest.raises(errors.UnknownRequest):
        call("delete", accepted.request_id)
    with pytest.raises(errors.InvalidReference):
        call("submit", {"text": reference}, model="wordcount")
