"""Batches by the Python client: one submit, one handle, sync and async."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from async_inference_client import AsyncClient, Batch, BatchItem, Client, _pauses, errors
from async_inference_client._batches import PAGE_ITEMS
from inference.errors import InvalidItems, Unavailable
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
