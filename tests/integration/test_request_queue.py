"""The request queue's adapter on moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from inference.aws import clients
from inference.errors import Unavailable
from inference.requests import Message, message_group
from inference.store.request_queue import MAX_BATCH_BYTES, MAX_VISIBILITY_SECONDS, RequestQueue
from tests.integration.aws_faults import ALWAYS, KINDS, AwsFault, injected
from tests.integration.terraform_definition import create_dead_letter_queue, create_queue
from tests.unit.samples import a_message, a_record

GROUP = message_group("echo", "anonymous")


@pytest.fixture
def url(on_moto: None) -> Iterator[str]:
    sqs = clients.client("sqs")
    dead_letters = create_dead_letter_queue(sqs, "queue-it-dlq")
    url = create_queue(sqs, "queue-it", 30, dead_letters)
    yield url
    for each in (url, dead_letters):
        sqs.delete_queue(QueueUrl=each)


@pytest.fixture
def queue(url: str) -> RequestQueue:
    return RequestQueue(clients.client("sqs"), url)


def receive(url: str, most: int = 10) -> list[Any]:
    messages: list[Any] = (
        clients.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=most).get("Messages", [])
    )
    return messages


def test_the_queue_is_as_terraform_defines_it(url: str) -> None:
    attributes = clients.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert int(attributes["VisibilityTimeout"]) == 6 * 30
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] >= 5


def test_messages_have_their_group(queue: RequestQueue, url: str) -> None:
    queue.send(a_message(a_record()), "busy:0123456789abcdef")
    answer = clients.client("sqs").receive_message(QueueUrl=url, MessageSystemAttributeNames=["MessageGroupId"])
    assert answer["Messages"][0]["Attributes"] == {"MessageGroupId": "busy:0123456789abcdef"}


def test_a_message_survives(queue: RequestQueue, url: str) -> None:
    message = a_message(a_record(), {"text": "ü\ud800\ufffe\x00"})
    queue.send(message, GROUP)
    (received,) = receive(url)
    assert Message.from_body(received["Body"]) == message


def test_many_messages_are_sent_in_as_few_calls_as_their_sizes_allow(queue: RequestQueue, url: str) -> None:
    sizes = [10] * 12 + [MAX_BATCH_BYTES - 1000, 100, 900, 250_000]
    messages = [a_message(a_record(f"r{number}"), {"text": "x" * size}) for number, size in enumerate(sizes)]
    with calls_made("SendMessageBatch") as calls:
        queue.send_many(messages, GROUP)
    assert calls == [10, 4, 2]
    received: dict[str, Message] = {}
    while found := receive(url):
        for each in found:
            message = Message.from_body(each["Body"])
            received[message.request_id] = message
    assert [received[message.request_id] for message in messages] == messages


@contextmanager
def calls_made(operation: str) -> Iterator[list[int]]:
    """The number of entries of each call."""
    made: list[int] = []
    event = f"provide-client-params.sqs.{operation}"

    def note(params: Any, **_: Any) -> None:
        made.append(len(params["Entries"]))

    client = clients.client("sqs")
    client.meta.events.register(event, note)
    yield made
    client.meta.events.unregister(event, note)


def test_a_message_that_sqs_does_not_accept_is_sent_alone() -> None:
    sent: list[str] = []

    class Client:
        def send_message_batch(self, QueueUrl: str, Entries: list[Any]) -> Any:
            return {"Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}]}

        def send_message(self, QueueUrl: str, MessageBody: str, MessageGroupId: str) -> None:
            sent.append(Message.from_body(MessageBody).request_id)

    RequestQueue(Client(), "url").send_many([a_message(a_record(name)) for name in "abc"], GROUP)
    assert sent == ["b"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_that_fails_is_unavailable(queue: RequestQueue, kind: str) -> None:
    operations = ("SendMessage", "SendMessageBatch", "GetQueueAttributes")
    with injected(*(AwsFault(name, kind, times=ALWAYS) for name in operations)):
        with pytest.raises(Unavailable, match="queue-it"):
            queue.send_many([a_message(a_record())] * 2, GROUP)
        with pytest.raises(Unavailable, match="queue-it"):
            queue.send(a_message(a_record()), GROUP)
        with pytest.raises(Unavailable, match="queue-it"):
            queue.is_empty()


def test_what_waits_and_what_is_in_flight_are_counted(queue: RequestQueue, url: str) -> None:
    assert queue.counts() == (0, 0)
    for _ in range(3):
        queue.send(a_message(a_record()), GROUP)
    receive(url, 2)
    clients.client("sqs").send_message(QueueUrl=url, MessageBody="later", DelaySeconds=60)
    assert queue.counts() == (2, 2)


def test_messages_are_shown_again_in_chunks_of_ten(queue: RequestQueue, url: str) -> None:
    for _ in range(23):
        queue.send(a_message(a_record()), GROUP)
    handles = [message["ReceiptHandle"] for _ in range(3) for message in receive(url)]
    assert len(handles) == 23
    assert receive(url) == []
    assert queue.set_visibility(dict.fromkeys(handles, 0)) == []
    assert sum(len(receive(url)) for _ in range(3)) == 23


def test_a_message_that_is_gone_is_told_and_hurts_no_other(queue: RequestQueue, url: str) -> None:
    for _ in range(3):
        queue.send(a_message(a_record()), GROUP)
    handles = [message["ReceiptHandle"] for message in receive(url)]
    clients.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=handles[1])
    assert list(queue.set_visibility(dict.fromkeys(handles, 0))) in (
        [handles[1]],
        [],
    )  # SQS takes some of the dead for alive
    assert len(receive(url)) == 2


def test_a_chunk_that_fails_is_told(queue: RequestQueue, url: str) -> None:
    for _ in range(12):
        queue.send(a_message(a_record()), GROUP)
    handles = [message["ReceiptHandle"] for _ in range(2) for message in receive(url)]
    with injected(AwsFault("ChangeMessageVisibilityBatch", KINDS[0], times=clients.ATTEMPTS)):
        assert queue.set_visibility(dict.fromkeys(handles, 0)) == handles[:10]
    assert len(receive(url)) == 2


def test_delays_are_kept_in_the_range_of_sqs() -> None:
    asked: list[int] = []

    class Client:
        def change_message_visibility_batch(self, QueueUrl: str, Entries: list[Any]) -> Any:
            asked.extend(entry["VisibilityTimeout"] for entry in Entries)
            return {"Failed": [{"Id": "1"}]}

    queue = RequestQueue(Client(), "url")
    assert queue.set_visibility({"a": -5, "b": MAX_VISIBILITY_SECONDS + 1, "c": 7}) == ["b"]
    assert asked == [0, MAX_VISIBILITY_SECONDS, 7]


def test_nothing_to_change_is_no_call(queue: RequestQueue) -> None:
    with injected(AwsFault("ChangeMessageVisibilityBatch", KINDS[0], times=ALWAYS)):
        assert queue.set_visibility({}) == []


def test_empty_means_nothing_in_sight_and_nothing_in_flight(queue: RequestQueue, url: str) -> None:
    assert queue.is_empty()
    queue.send(a_message(a_record()), GROUP)
    assert not queue.is_empty()
    (message,) = receive(url)
    assert not queue.is_empty()
    clients.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert queue.is_empty()
