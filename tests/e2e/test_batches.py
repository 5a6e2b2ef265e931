"""Batches by real HTTP, with rights enforced: all items in one call, one bad one among them, results in pages."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pytest

from tests.e2e.conftest import Addition
from tests.e2e.http_client import POLL_SECONDS, Api, Response
from tests.e2e.test_requests import as_documented

ITEMS = 100
BAD = 41
MODEL = "deliveries"


@pytest.fixture(autouse=True)
def models(addition: Addition) -> None:
    """The models that fail on demand are deployed."""


def texts(name: str) -> list[str]:
    return [f"{name} {number}" for number in range(ITEMS)]


def submit(api: Api, items: list[Any], **headers: str) -> Response:
    body = json.dumps({"items": items}).encode()
    response = api.call("POST", f"/batch/{MODEL}", body, content_type="application/json", **headers)
    as_documented("POST /batch/{model}", response)
    return response


def finished(api: Api, poll_url: str, seconds: float = 60) -> dict[str, Any]:
    """Poll until all items are final, and return the batch with its first page."""
    deadline = time.monotonic() + seconds
    while True:
        response = api.call("GET", f"{poll_url}?limit=0")
        assert response.status == 200, response
        if response.body["status"] == "finished":
            break
        assert time.monotonic() < deadline, response.body["counts"]
        time.sleep(POLL_SECONDS)
    response = api.call("GET", poll_url)
    as_documented("GET /batches/{batch_id}", response)
    shown: dict[str, Any] = response.body
    return shown


def test_a_hundred_items_one_of_which_fails(api: Api) -> None:
    inputs = texts("batch")
    inputs[BAD] = "reject this"
    items = [{"text": text} for text in inputs]
    response = submit(api, items, idempotency_key="a-hundred")
    assert response.status == 202, response
    again = submit(api, items, idempotency_key="a-hundred")
    assert again.body == response.body, "the same key, the same batch"
    shown = finished(api, response.body["poll_url"])
    assert {status: count for status, count in shown["counts"].items() if count} == {"succeeded": 99, "failed": 1}
    assert [item["request_id"] for item in shown["items"]] == response.body["request_ids"]
    for index, (text, item) in enumerate(zip(inputs, shown["items"], strict=True)):
        if index == BAD:
            assert (item["status"], item["error"]["code"]) == ("failed", "invalid_input")
        else:
            assert item["result"]["digest"] == hashlib.sha256(text.encode()).hexdigest()[:16]
    single = api.status(response.body["request_ids"][0]).body
    assert (single["batch_id"], single["attempts"]) == (response.body["batch_id"], 1)


def test_nothing_is_accepted_if_one_item_is_invalid(api: Api) -> None:
    items: list[Any] = [{"text": text} for text in texts("invalid")]
    items[BAD] = {"text": 7}
    response = submit(api, items)
    assert (response.status, response.body["type"]) == (422, "/problems/invalid-items")
    assert [error["index"] for error in response.body["errors"]] == [BAD]


def test_a_batch_is_cancelled(api: Api) -> None:
    response = submit(api, [{"text": text, "work_ms": 50} for text in texts("cancel")])
    cancelled = api.call("POST", f"{response.body['poll_url']}/cancel")
    as_documented("POST /batches/{batch_id}/cancel", cancelled)
    assert cancelled.status == 200, cancelled
    shown = finished(api, response.body["poll_url"], 10)
    assert shown["counts"]["cancelled"] + shown["counts"]["succeeded"] == ITEMS
    assert shown["counts"]["cancelled"] > 0
