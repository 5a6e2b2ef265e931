"""Batches by real HTTP, with rights enforced: all items in one call, one bad one among them, results in pages; and from
a file, by the Python client, while the function that makes the items is killed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from async_inference_client import Client
from inference.batches.record import BatchRecord, Stage
from inference.store.batch_queue import to_body
from inference.store.batch_table import KEY_PREFIX, BatchTable
from scripts.local.emulator import Emulator
from tests.e2e.conftest import Addition
from tests.e2e.control import Control
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import POLL_SECONDS, Api, Response
from tests.e2e.killer import worker_processes
from tests.e2e.test_requests import as_documented

ITEMS = 100
LINES = 220
BAD = 41
MODEL = "deliveries"
QUEUE = "inference-local-batches"


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


def test_a_file_whose_function_is_killed_runs_once(
    deployment: Deployment, control: Control, emulator: Emulator, tmp_path: Path
) -> None:
    """Kills in both passes: each line becomes one item, and is computed once."""
    inputs = [f"file {number}" for number in range(LINES)]
    path = tmp_path / "inputs.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in inputs), encoding="utf-8")
    with Client(deployment.base_url) as client:
        batch = client.batch_file(path, model=MODEL)
        kills = Kills(control, emulator, batch.batch_id)
        kills.until_created()
        assert client.batch_file(path, model=MODEL).batch_id == batch.batch_id, "as after an interruption"
        items = list(batch.results(timeout=120))
    print(f"\n{LINES} lines, kills by stage and line: {kills.at}")
    assert {stage for stage, _ in kills.at} == {Stage.CHECKING, Stage.CREATING}
    assert [item.index for item in items] == list(range(LINES))
    assert len({item.request.request_id for item in items}) == LINES
    for text, item in zip(inputs, items, strict=True):
        assert item.unwrap()["digest"] == hashlib.sha256(text.encode()).hexdigest()[:16]
    lines = control.events(f"worker/{MODEL}", "computed", "file ")
    computed = Counter(text for line in lines for text in line["texts"] if text.startswith("file "))
    assert computed == Counter(inputs), "every line once"


class Kills:
    """Kills the batches function with SIGKILL whenever it has come a step further, while it has the lease of a batch.

    What would follow a quarter of an hour later is made to happen at once: the lease ends, and the message comes back.
    """

    def __init__(self, control: Control, emulator: Emulator, batch_id: str) -> None:
        self._control = control
        self._emulator = emulator
        self._batch_id = batch_id
        self._batches = BatchTable(control.dynamodb, control.table_name)
        self.at: list[tuple[str | None, int]] = []

    def _record(self) -> BatchRecord:
        batch = self._batches.get(self._batch_id, consistent=True)
        assert batch is not None
        return batch

    def until_created(self, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while (batch := self._record()).stage in (Stage.CHECKING, Stage.CREATING):
            assert time.monotonic() < deadline, batch
            if batch.lease_id and (batch.stage, batch.line) not in self.at:
                with self._stopped() as processes:
                    batch = self._record()
                    if not processes or not batch.lease_id or (batch.stage, batch.line) in self.at:
                        continue
                    for process in processes:
                        os.kill(process, signal.SIGKILL)
                self.at.append((batch.stage, batch.line))
                self._time_passes()
            time.sleep(0.01)

    @contextlib.contextmanager
    def _stopped(self) -> Iterator[list[int]]:
        """The function's processes, stopped: they change nothing between a look at the record and their end."""
        processes = worker_processes(self._emulator, "batches", up_seconds=0)
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield processes
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    def _time_passes(self) -> None:
        self._control.dynamodb.update_item(
            TableName=self._control.table_name,
            Key={"request_id": {"S": KEY_PREFIX + self._batch_id}},
            UpdateExpression="SET lease_until = :past",
            ExpressionAttributeValues={":past": {"N": "0"}},
        )
        url = self._control.sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        self._control.sqs.send_message(QueueUrl=url, MessageBody=to_body(self._batch_id))
