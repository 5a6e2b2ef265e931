"""Batches by the Python client: one submit, one handle, sync and async."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from async_inference_client import AsyncClient, Batch, BatchItem, Client, _pauses, errors
from async_inference_client._batches import PAGE_ITEMS
from inference.errors import InvalidItems, KeyReused, RequestError, Unavailable
from inference.http.problems import PROBLEMS
from tests.unit.client_plans import BASE, problem, response


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pauses, "SHORTEST_SECONDS", 0.001)
    monkeypatch.setattr(_pauses, "FIRST_BACKOFF_SECONDS", 0.001)


class Api:
    """Batches that are finished at the third poll; a result is its input."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.seen: list[httpx2.Request] = []
        self.polls = 0
        self.troubles: list[httpx2.Response] = []
        self.cancelled = False

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        if self.troubles:
            return self.troubles.pop(0)
        if request.url.path.startswith("/batch/") or request.url.path == "/batch":
            self.items = json.loads(request.content)["items"]
            return response(202, self._body("running") | {"request_ids": [], "counts": None}, retry_after="0")
        if request.method == "POST":
            self.cancelled = True
            return response(200, self._body("finished", cancelled_at="2026-11-26T08:00:00.000Z"))
        limit, start = int(request.url.params["limit"]), int(request.url.params.get("cursor", 0))
        if not limit:
            self.polls += 1
        status = "finished" if self.polls > 2 else "running"
        body = self._body(status, items=[self._item(index) for index in range(start, len(self.items))][:limit])
        if limit and start + limit < len(self.items):
            body["next"] = f"/batches/b1?cursor={start + limit}&limit={limit}"
        return response(200, body, retry_after="0")

    def _body(self, status: str, **more: Any) -> dict[str, Any]:
        counts = {"succeeded": len(self.items)}
        known = {"batch_id": "b1", "status": status, "model": "m", "total": len(self.items), "counts": counts}
        return {**known, "submitted_at": "2026-11-26T08:00:00.000Z", "items": [], "next": None, **more}

    def _item(self, index: int) -> dict[str, Any]:
        item = {"index": index, "request_id": f"r{index}", "status": "succeeded", "result": self.items[index]}
        return {**item, "error": None, "files": [], "poll_url": f"/status/r{index}"}


@pytest.fixture
def api() -> Api:
    return Api()


def of_sync(api: Api, items: list[Any], use: Callable[[Batch], Any], **more: Any) -> Any:
    with Client(BASE, transport=httpx2.MockTransport(api)) as client:
        return use(client.batch(items, **more))


def results_async(api: Api, items: list[Any], **more: Any) -> list[BatchItem]:
    async def called() -> list[BatchItem]:
        async with AsyncClient(BASE, transport=httpx2.MockTransport(api)) as client:
            batch = await client.batch(items, **more)
            return [item async for item in batch.results(timeout=30)]

    return asyncio.run(called())


@pytest.mark.parametrize("items", [1, PAGE_ITEMS, 2 * PAGE_ITEMS + 1])
def test_results_in_the_order_of_the_inputs(api: Api, items: int) -> None:
    inputs = [{"n": number} for number in range(items)]
    found = of_sync(api, inputs, lambda batch: list(batch.results(timeout=30)), model="a/b")
    assert [(item.index, item.unwrap()) for item in found] == list(enumerate(inputs))
    assert api.seen[0].url.raw_path == b"/batch/a%2Fb"
    assert api.polls == 3
    assert results_async(api, inputs) == found


def test_a_submit_is_repeated_with_its_key(api: Api) -> None:
    api.troubles = [problem(Unavailable)]
    batch = of_sync(api, [1], lambda batch: batch)
    assert batch.batch_id == "b1"
    assert batch.accepted.total == 1
    first, second = api.seen
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_a_webhook_is_named_in_the_submit(api: Api) -> None:
    with Client(BASE, transport=httpx2.MockTransport(api)) as client:
        client.batch([1])
        client.batch([1], webhook="https://example.com/hook")
    assert [request.headers.get("Webhook-URL") for request in api.seen] == [None, "https://example.com/hook"]


def test_items_that_are_not_valid(api: Api) -> None:
    api.troubles = [problem(InvalidItems)]
    with pytest.raises(errors.InvalidItems):
        of_sync(api, [1], lambda batch: batch)


def test_a_wait_tells_each_status_and_outlasts_a_failure(api: Api) -> None:
    seen: list[str] = []

    def wait(batch: Batch) -> Any:
        api.troubles = [problem(Unavailable)]
        return batch.wait(timeout=30, on_status=lambda status: seen.append(status.status))

    final = of_sync(api, [1, 2], wait)
    assert (seen, final.finished, final.counts) == (["running", "running", "finished"], True, {"succeeded": 2})


def test_a_wait_that_is_over(api: Api) -> None:
    with pytest.raises(errors.WaitTimeout, match="batch b1 is not final"):
        of_sync(api, [1], lambda batch: batch.wait(timeout=0))


def test_cancel(api: Api) -> None:
    status = of_sync(api, [1], lambda batch: batch.cancel())
    assert api.cancelled
    assert status.cancelled_at is not None


def test_a_batch_is_opened_by_its_id(api: Api) -> None:
    with Client(BASE, transport=httpx2.MockTransport(api)) as client:
        assert client.open_batch("b1").get().batch_id == "b1"
        assert [request.method for request in api.seen] == ["GET"]


@pytest.mark.parametrize("body", [{}, [], {"batch_id": "b1"}, {"batch_id": "b1", "status": "x", "items": [{}]}])
def test_what_is_no_batch(api: Api, body: Any) -> None:
    def page(batch: Batch) -> Any:
        api.troubles = [response(200, body)]
        return list(batch.items())

    with pytest.raises(errors.ResponseError):
        of_sync(api, [1], page)


def told(error: type[RequestError], **facts: Any) -> httpx2.Response:
    """The API's answer to an error, with its facts."""
    answer = PROBLEMS[error]
    return response(answer.status, {"type": answer.type, "title": "", "status": answer.status, "detail": "d", **facts})


class Files(Api):
    """Batches by key, of lines in a body or in an upload; what is uploaded is at its link."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: dict[str, list[Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.used: dict[str, str] = {}
        self.webhooks: dict[str, str] = {}
        self.final = "finished"
        self.loses_an_answer = False

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/uploads":
            name = f"/uploads/{len(self.uploads)}"
            self.uploads[name] = b""
            link = {"url": f"{BASE}/link{name}", "headers": {"content-type": "application/jsonl"}}
            assert json.loads(request.content)["content_type"] == "application/jsonl"
            return response(201, {"reference": {"$ref": name}, **link})
        if path.startswith("/link"):
            self.uploads[path.removeprefix("/link")] = request.read()
            return response(200, {})
        if path == "/batch":
            return self._submit(request)
        key = list(self.batches)[int(path.split("/")[2])]
        return self._answer(key, request.url.params)

    def _submit(self, request: httpx2.Request) -> httpx2.Response:
        items = json.loads(request.content)["items"]
        key = request.headers["Idempotency-Key"].strip('"')
        self.webhooks.setdefault(key, request.headers.get("Webhook-URL", "none"))
        if isinstance(items, dict):
            name = items["$ref"]
            if self.used.setdefault(key, name) != name:
                return told(KeyReused, batch_id=str(list(self.batches).index(key)))
            items = [json.loads(line) for line in self.uploads[name].split(b"\n") if line.strip()]
        bad = [{"index": index, "detail": "no"} for index, item in enumerate(items) if item == "bad"]
        if bad and len(items) <= 100:
            return told(InvalidItems, errors=bad)
        self.batches.setdefault(key, items)
        if self.loses_an_answer:
            raise KeyboardInterrupt
        return self._answer(key, {"limit": "0"}, 202)

    def _answer(self, key: str, query: Any, status: int = 200) -> httpx2.Response:
        self.items = self.batches[key]
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        items = [self._item(index) for index in range(start, len(self.items))][:limit]
        bad = [{"index": index, "detail": "no"} for index, item in enumerate(self.items) if item == "bad"]
        body = self._body("rejected" if bad else self.final, items=items, errors=bad, error_count=len(bad))
        url = self.webhooks[key]
        body |= {"batch_id": str(list(self.batches).index(key)), "reason": "it is gone"}
        body["webhook"] = None if url == "none" else {"url": url}
        if limit and start + limit < len(self.items):
            body["next"] = f"/batches/0?cursor={start + limit}&limit={limit}"
        return response(status, body)


def file_of(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "inputs.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run_file(kind: str, api: Api, path: Path, **more: Any) -> list[BatchItem]:
    transport = httpx2.MockTransport(api)
    if kind == "sync":
        with Client(BASE, transport=transport) as client:
            return list(client.batch_file(path, **more).results(timeout=30))

    async def called() -> list[BatchItem]:
        async with AsyncClient(BASE, transport=transport) as client:
            return [item async for item in (await client.batch_file(path, **more)).results(timeout=30)]

    return asyncio.run(called())


@pytest.mark.parametrize("kind", ["sync", "async"])
class TestAFile:
    def test_a_small_one_is_sent_in_a_body(self, tmp_path: Path, kind: str) -> None:
        api = Files()
        lines = [json.dumps({"n": number}) for number in range(100)]
        found = run_file(kind, api, file_of(tmp_path, *lines[:7], "", "  ", *lines[7:], ""))
        assert [(item.index, item.unwrap()) for item in found] == [(n, {"n": n}) for n in range(100)]
        assert (len(api.batches), api.uploads) == (1, {})

    def test_a_large_one_is_uploaded(self, tmp_path: Path, kind: str) -> None:
        api = Files()
        found = run_file(kind, api, file_of(tmp_path, *map(str, range(250))))
        assert [(item.index, item.unwrap()) for item in found] == [(n, n) for n in range(250)]
        assert (len(api.batches), len(api.uploads)) == (1, 1)

    def test_large_lines_are_uploaded(self, tmp_path: Path, kind: str) -> None:
        api = Files()
        run_file(kind, api, file_of(tmp_path, *[json.dumps("x" * 1_500_000)] * 3))
        assert len(api.uploads) == 1

    def test_after_an_interruption_the_same_file_gives_the_same_batch(self, tmp_path: Path, kind: str) -> None:
        api = Files()
        path = file_of(tmp_path, *map(str, range(450)))
        api.loses_an_answer = True
        with pytest.raises(KeyboardInterrupt):
            run_file(kind, api, path)
        api.loses_an_answer = False
        for _ in range(2):
            assert [item.unwrap() for item in run_file(kind, api, path)] == list(range(450))
        assert len(api.batches) == 1

    @pytest.mark.parametrize("lines", [3, 450])
    def test_its_webhook(self, tmp_path: Path, kind: str, lines: int) -> None:
        api = Files()
        path = file_of(tmp_path, *map(str, range(lines)))
        for _ in range(2):
            run_file(kind, api, path, webhook="https://example.com/hook")
        assert list(api.webhooks.values()) == ["https://example.com/hook"]
        run_file(kind, api, path)
        if lines > 100:
            for other in ("https://example.org/", "none"):
                with pytest.raises(errors.IdempotencyKeyReused):
                    run_file(kind, api, path, webhook=other)

    def test_another_file_model_or_key_is_others(self, tmp_path: Path, kind: str) -> None:
        api = Files()
        run_file(kind, api, file_of(tmp_path, "1"))
        run_file(kind, api, file_of(tmp_path, "2"))
        run_file(kind, api, file_of(tmp_path, "2"), key="k")
        run_file(kind, api, file_of(tmp_path, "2"), key="k")
        assert len(api.batches) == 3
        assert list(api.batches)[-1] == "k"

    def test_a_file_with_lines_that_are_no_json_is_not_sent(self, tmp_path: Path, kind: str) -> None:
        api = Files()
        with pytest.raises(errors.InvalidLines, match="2 lines are not valid: line 2") as raised:
            run_file(kind, api, file_of(tmp_path, "1", "{", "3", "x"))
        assert [number for number, _ in raised.value.errors] == [1, 3]
        with pytest.raises(errors.InvalidLines, match="no lines"):
            run_file(kind, api, file_of(tmp_path, ""))
        assert api.batches == {}

    @pytest.mark.parametrize("more", [5, 250])
    def test_lines_that_the_api_finds_not_valid(self, tmp_path: Path, kind: str, more: int) -> None:
        api = Files()
        with pytest.raises(errors.InvalidLines) as raised:
            run_file(kind, api, file_of(tmp_path, '"bad"', *map(str, range(more)), '"bad"'))
        assert raised.value.errors == [(0, "no"), (more + 1, "no")]

    def test_a_batch_that_failed(self, tmp_path: Path, kind: str) -> None:
        api = Files()
        api.final = "failed"
        with pytest.raises(errors.BatchFailed, match="it is gone"):
            run_file(kind, api, file_of(tmp_path, *map(str, range(250))))
