"""The deliverer's queue on moto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inference.aws import clients
from inference.store.webhook_queue import WebhookMessage, WebhookQueue


@pytest.fixture
def url(on_moto: None) -> Iterator[str]:
    sqs = clients.client("sqs")
    created: str = sqs.create_queue(QueueName="webhooks")["QueueUrl"]
    yield created
    sqs.delete_queue(QueueUrl=created)


def received(url: str) -> list[str]:
    found: list[str] = []
    while messages := clients.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


def test_more_messages_than_go_in_one_call(url: str) -> None:
    messages = [WebhookMessage(f"a{number}", "https://h.example/", again=number == 3) for number in range(23)]
    assert WebhookQueue(clients.client("sqs"), url).send(messages) == {}
    got = sorted(map(WebhookMessage.from_body, received(url)))
    assert got == sorted(WebhookMessage(f"a{number}", again=number == 3) for number in range(23))


def test_a_queue_that_is_gone(on_moto: None) -> None:
    queue = WebhookQueue(clients.client("sqs"), "https://sqs.us-east-1.amazonaws.com/123456789012/none")
    assert set(queue.send([WebhookMessage("a1"), WebhookMessage("b2")])) == {0, 1}


def test_some_that_are_not_taken() -> None:
    class Client:
        def __init__(self) -> None:
            self.calls = 0

        def send_message_batch(self, Entries: Any, **_: Any) -> Any:
            self.calls += 1
            return {"Failed": [{"Id": Entries[1]["Id"], "Code": "InternalError"}]}

    messages = [WebhookMessage(f"a{number}") for number in range(12)]
    assert WebhookQueue(Client(), "u").send(messages) == {1: "InternalError", 11: "InternalError"}
