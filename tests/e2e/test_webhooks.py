"""Webhooks by real HTTP, with rights enforced: sent, repeated, given up, sent again; none is lost when processes are
killed.

Receivers are on this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from inference.store.webhook_queue import WebhookMessage
from scripts.local.emulator import Emulator
from tests.e2e.control import Control
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api
from tests.e2e.killer import worker_processes
from tests.e2e.own import DEFAULT_PATH, Own
from tests.e2e.test_requests import as_documented
from tests.e2e.waiting import eventually
from tests.e2e.webhooks import Hooks, verified
from tests.integration.receivers import Received, Receiver

TEXT = {"text": "what a lovely day"}
QUEUE, DEAD_LETTERS = "inference-local-webhooks", "inference-local-webhooks-dlq"
SEED = 20_261_126
REQUESTS = 24
ITEMS = 30
"""Of the batch."""
KILLING_SECONDS = 12
VISIBILITY_SECONDS = 5
"""Of the queue, while processes are killed: a killed deliverer's messages come back after it."""


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with Receiver().running() as receiver:
        yield Hooks(receiver)


def webhook_of(api: Api, request_id: str) -> dict[str, Any]:
    webhook: dict[str, Any] = api.status(request_id).body["webhook"]
    return webhook


def ended(api: Api, request_id: str, state: str, seconds: float = 60) -> dict[str, Any]:
    """Wait for a state of a request's webhook; gives the status document."""
    eventually(f"the webhook is {state}", seconds, lambda: webhook_of(api, request_id)["state"] == state)
    body: dict[str, Any] = api.status(request_id).body
    return body


def statuses(document: dict[str, Any]) -> list[int | None]:
    return [attempt["status"] for attempt in document["webhook"]["attempts"]]


def test_a_final_request_is_sent_to_its_url_and_signed(api: Api, hooks: Hooks) -> None:
    by_header = api.accepted(TEXT, webhook_url=hooks.url("/header"))
    query = f"/predict?webhook={hooks.url('/query')}"
    by_query = api.call("POST", query, b'{"text": "worse"}', content_type="application/json").body["request_id"]
    for path, request_id in (("/header", by_header), ("/query", by_query)):
        shown = ended(api, request_id, "delivered")
        (received,) = hooks.got(path)
        document = verified(received)
        assert received.headers["webhook-id"].startswith(request_id)
        assert document["status"] == "succeeded"
        assert {**document, "webhook": None} == {**shown, "webhook": None}
        assert statuses(shown) == [200]
        as_documented("GET /status/{request_id}", api.status(request_id))
    assert api.submit(TEXT, webhook_url="https://169.254.169.254/").body["type"] == "/problems/invalid-webhook"


def test_the_default_webhook_is_of_every_request_that_names_none(own: Own) -> None:
    api = own.api(own.make_key("webhooks"))
    without = api.accepted(TEXT, webhook_url="none")
    named = api.accepted(TEXT, webhook_url=own.hooks.url("/named"))
    by_default = api.accepted(TEXT)
    for request_id in (named, by_default):
        ended(api, request_id, "delivered")
    assert api.outcome(without)["webhook"] is None
    assert [verified(each)["request_id"] for each in own.hooks.got("/named")] == [named]
    sent_by_default = {json.loads(each.body)["request_id"]: each for each in own.hooks.got(DEFAULT_PATH)}
    assert verified(sent_by_default[by_default])["request_id"] == by_default
    assert not sent_by_default.keys() & {without, named}


def test_a_batch_is_sent_once_when_all_its_items_are_final(api: Api, hooks: Hooks) -> None:
    hooks.first("/batch", (410, {}))
    items = [TEXT] * (ITEMS - 1) + [{"text": "worse"}]
    accepted = api.call(
        "POST",
        f"/batch?webhook={hooks.url('/batch')}",
        json.dumps({"items": items}).encode(),
        content_type="application/json",
    ).body
    batch = f"/batches/{accepted['batch_id']}"

    def shown(state: str) -> dict[str, Any]:
        def read() -> Any:
            return api.call("GET", f"{batch}?limit=0").body

        eventually(f"the webhook is {state}", 90, lambda: read()["webhook"]["state"] == state)
        body: dict[str, Any] = read()
        return body

    shown("failed")
    (received,) = hooks.got("/batch")
    document = verified(received)
    assert (document["status"], document["counts"]["succeeded"], document["items"]) == ("finished", ITEMS, [])
    answer = api.call("POST", f"{batch}/webhook", b"")
    assert (answer.status, answer.body["webhook"]["state"]) == (202, "waiting")
    as_documented("POST /batches/{batch_id}/webhook", answer)
    last = shown("delivered")
    assert statuses(last) == [410, 200]
    first, second = hooks.got("/batch")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert {**verified(second), "webhook": None} == {**last, "webhook": None}
    assert webhook_of(api, accepted["request_ids"][0]) is None


def test_an_unavailable_receiver_is_tried_again_and_one_that_is_gone_when_asked(api: Api, hooks: Hooks) -> None:
    hooks.first("/down", (503, {}))
    hooks.first("/gone", (410, {}))
    down = api.accepted(TEXT, webhook_url=hooks.url("/down"))
    gone = api.accepted(TEXT, webhook_url=hooks.url("/gone"))
    assert statuses(ended(api, gone, "failed")) == [410]
    answer = api.call("POST", f"/requests/{gone}/webhook", b"")
    assert (answer.status, answer.body["webhook"]["state"]) == (202, "waiting")
    as_documented("POST /requests/{request_id}/webhook", answer)
    assert statuses(ended(api, gone, "delivered")) == [410, 200]
    assert statuses(ended(api, down, "delivered")) == [503, 200]
    for path in ("/down", "/gone"):
        assert len({received.headers["webhook-id"] for received in hooks.got(path)}) == 1
    without = api.accepted(TEXT)
    api.outcome(without)
    assert api.call("POST", f"/requests/{without}/webhook", b"").body["type"] == "/problems/no-webhook"


def test_a_webhook_without_attempts_left_is_a_dead_letter_and_can_be_redriven(
    deployment: Deployment, api: Api, hooks: Hooks
) -> None:
    sqs = deployment.client("sqs")
    hooks.first("/last", (500, {}))
    with Control(deployment).paused("sentiment"):
        request_id = api.accepted(TEXT, webhook_url=hooks.url("/last"))
        deployment.client("dynamodb").update_item(  # else it would take 29 hours
            TableName=deployment.output("request_table"),
            Key={"request_id": {"S": request_id}},
            UpdateExpression="SET webhook_attempt_limit = :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
    assert statuses(ended(api, request_id, "failed")) == [500]
    url = deployment.output("webhook_dead_letter_queue_url")
    (letter,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    assert WebhookMessage.from_body(letter["Body"]).id == request_id
    # What `aws sqs start-message-move-task` does, which the emulator does not have.
    sqs.send_message(QueueUrl=url_of(sqs, QUEUE), MessageBody=letter["Body"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
    assert statuses(ended(api, request_id, "delivered")) == [500, 200]


def url_of(sqs: Any, queue: str) -> str:
    url: str = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    return url


class Kills:
    """Kills processes of the relay and the deliverer with SIGKILL, and counts the deliverer's kills."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.of = {"relay": 0, "deliverer": 0}

    def kill(self, function: str, processes: list[int]) -> None:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self.of[function] += 1

    def while_sending(self) -> None:
        """Kill the deliverer that waits for the answer, whichever it is: it cannot have written what came of it."""
        self.kill("deliverer", worker_processes(self._emulator, "deliverer", up_seconds=0))

    def at_random(self, over: threading.Event) -> None:
        chosen = random.Random(SEED)
        while not over.wait(chosen.uniform(0.5, 1.5)):
            for function in self.of:
                processes = worker_processes(self._emulator, function, up_seconds=1)
                self.kill(function, processes and [chosen.choice(processes)])


@pytest.fixture
def short_visibility(deployment: Deployment) -> Iterator[None]:
    sqs = deployment.client("sqs")
    url, name = url_of(sqs, QUEUE), "VisibilityTimeout"
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(VISIBILITY_SECONDS)})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def delivered_soon(api: Api, request_id: str) -> dict[str, Any]:
    """Wait until a webhook is delivered. One whose second attempt was answered 503, since the first was interrupted, is
    due in five minutes: it is not lost, and is sent at once."""

    def delivered() -> bool:
        webhook = webhook_of(api, request_id)
        if webhook["state"] == "retrying" and webhook["attempts"][-1]["attempt"] > 1:
            assert webhook["next_attempt_at"] is not None
            assert api.call("POST", f"/requests/{request_id}/webhook", b"").status == 202
        return bool(webhook["state"] == "delivered")

    eventually("the webhook is delivered", 150, delivered)
    body: dict[str, Any] = api.status(request_id).body
    return body


@pytest.mark.usefixtures("short_visibility")
def test_nothing_is_lost_when_relay_and_deliverer_are_killed(
    deployment: Deployment, api: Api, hooks: Hooks, emulator: Emulator
) -> None:
    """A kill costs at most one more delivery of each webhook that it interrupts."""
    kills = Kills(emulator)
    over = threading.Event()

    def killed_before_the_answer(_: Received) -> tuple[int, Mapping[str, str]]:
        if len(hooks.got("/0")) == 1:
            kills.while_sending()
        return 200, {}

    def slowly(received: Received) -> tuple[int, Mapping[str, str]]:
        time.sleep(0.2)  # sleeping is what this receiver is for: kills shall fall in it
        down = int(received.path[1:]) % 3 == 1 and len(hooks.got(received.path)) == 1
        return (503, {}) if down else (200, {})

    paths = [f"/{number}" for number in range(REQUESTS)]
    hooks.answers = dict.fromkeys(paths, slowly) | {"/0": killed_before_the_answer}
    killer = threading.Thread(target=kills.at_random, args=(over,))
    until = time.monotonic() + KILLING_SECONDS
    killer.start()
    requests: dict[str, str] = {}
    try:
        for path in paths:
            requests[path] = api.accepted(TEXT, webhook_url=hooks.url(path))
            time.sleep(max(until - time.monotonic(), 0) / (REQUESTS + 1 - len(requests)))
        eventually("each function was killed", 90, lambda: min(kills.of.values()) >= 1)
    finally:
        over.set()
        killer.join()
    documents = {path: delivered_soon(api, request_id) for path, request_id in requests.items()}
    extra: dict[str, int] = defaultdict(int)
    for path, document in documents.items():
        received = hooks.got(path)
        answered = document["webhook"]["attempts"]
        assert len({each.headers["webhook-id"] for each in received}) == 1
        for each in received:
            assert verified(each)["status"] == "succeeded"
        interrupted = answered[-1]["attempt"] - len(answered)
        extra[path] = len(received) - len(answered)
        assert 0 <= extra[path] <= interrupted <= kills.of["deliverer"], (path, document)
        assert answered[-1]["status"] == 200
    assert extra["/0"] >= 1, "its first delivery was interrupted"
    print(f"\n{REQUESTS} webhooks, killed: {kills.of}; extra deliveries: {sum(extra.values())}")
    sqs = deployment.client("sqs")
    dead = sqs.get_queue_attributes(QueueUrl=url_of(sqs, DEAD_LETTERS), AttributeNames=["All"])["Attributes"]
    assert dead["ApproximateNumberOfMessages"] == "0"
