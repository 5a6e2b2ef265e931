"""Webhooks, whole: the packaged functions on moto, its stream with Terraform's filter, a receiver on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.events import golden
from tests.integration.receivers import Receiver
from tests.integration.webhook_system import SECRET, TEXT, WEBHOOKS, WebhookSystem


@pytest.fixture(scope="module")
def webhook_system(on_moto: None, package: Path, module_patch: pytest.MonkeyPatch) -> WebhookSystem:
    return WebhookSystem(package, module_patch)


@pytest.fixture
def system(webhook_system: WebhookSystem) -> Iterator[WebhookSystem]:
    yield webhook_system
    webhook_system.clear()


@pytest.fixture
def receiver(system: WebhookSystem) -> Iterator[Receiver]:
    with Receiver().running() as running:
        yield running


def url_of(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}/hook?token=1"


def finished(system: WebhookSystem, url: str) -> str:
    """A request that has succeeded."""
    accepted = system.submit(url)
    assert accepted["statusCode"] == 202
    assert system.run_worker() == []
    request_id: str = accepted["json"]["request_id"]
    return request_id


def test_from_the_submit_to_the_receiver(system: WebhookSystem, receiver: Receiver) -> None:
    request_id = finished(system, url_of(receiver))
    assert system.status(request_id)["json"]["webhook"]["state"] == "waiting"
    assert system.run_relay() == 1
    assert system.run_deliverer() == []
    (received,) = receiver.received
    assert received.path == "/hook?token=1"
    document = Webhook(SECRET).verify(received.body, dict(received.headers))
    shown = system.status(request_id)["json"]
    assert {**document, "webhook": None} == {**shown, "webhook": None}
    assert shown["webhook"]["state"] == "delivered"
    assert [(entry["attempt"], entry["status"]) for entry in shown["webhook"]["attempts"]] == [(1, 200)]
    assert system.run_relay() == 0, "its own writes do not start it again"
    assert system.messages(WEBHOOKS) == 0


def test_a_request_without_a_webhook_passes_no_filter(system: WebhookSystem) -> None:
    assert system.predict(TEXT)["statusCode"] == 202
    system.run_worker()
    assert system.changes()
    system.predict(TEXT)
    assert system.run_relay() == 0


def test_the_parameter_of_the_query(system: WebhookSystem, receiver: Receiver) -> None:
    event = golden("http_predict") | {"body": json.dumps(TEXT), "queryStringParameters": {"webhook": url_of(receiver)}}
    request_id = system.call(event)["json"]["request_id"]
    assert system.status(request_id)["json"]["webhook"]["url"] == url_of(receiver)


@pytest.mark.parametrize("url", ["ftp://example.com/", "https://169.254.169.254/latest/", "https://u:p@example.com/"])
def test_a_url_that_nothing_is_sent_to(system: WebhookSystem, url: str) -> None:
    answer = system.submit(url)
    assert (answer["statusCode"], answer["json"]["type"]) == (400, "/problems/invalid-webhook")


def test_a_cancelled_request_is_announced(system: WebhookSystem, receiver: Receiver) -> None:
    request_id = system.submit(url_of(receiver))["json"]["request_id"]
    assert system.cancel(request_id)["statusCode"] == 200
    system.run_relay()
    system.run_deliverer()
    (received,) = receiver.received
    assert json.loads(received.body)["status"] == "cancelled"


def test_a_receiver_that_is_down_and_comes_back(system: WebhookSystem, receiver: Receiver) -> None:
    receiver.answer = lambda _: (503, {})
    request_id = finished(system, url_of(receiver))
    system.run_relay()
    assert len(system.run_deliverer()) == 1
    shown = system.status(request_id)["json"]["webhook"]
    assert (shown["state"], shown["attempts"][0]["status"]) == ("retrying", 503)
    assert shown["next_attempt_at"] is not None
    system.time_passes(5)
    assert len(system.run_deliverer()) == 1
    system.time_passes(300)
    assert system.run_deliverer() == [], "from now on it is the sweeper's"
    assert system.messages(WEBHOOKS) == 0
    assert system.sweep()["webhooks_sent"] == 0
    system.time_passes(1800)
    assert system.sweep()["webhooks_sent"] == 1
    receiver.answer = lambda _: (204, {})
    assert system.run_deliverer() == []
    shown = system.status(request_id)["json"]["webhook"]
    assert [entry["status"] for entry in shown["attempts"]] == [503, 503, 503, 204]
    assert (shown["state"], shown["next_attempt_at"]) == ("delivered", None)
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1


def test_a_resend(system: WebhookSystem, receiver: Receiver) -> None:
    receiver.answer = lambda _: (410, {})
    request_id = finished(system, url_of(receiver))
    system.run_relay()
    system.run_deliverer()
    assert system.status(request_id)["json"]["webhook"]["state"] == "failed"
    receiver.answer = lambda _: (200, {})
    answer = system.resend(request_id)
    assert (answer["statusCode"], answer["json"]["webhook"]["state"]) == (202, "waiting")
    assert system.resend(request_id)["statusCode"] == 202
    assert system.run_relay() == 1
    system.run_deliverer()
    assert system.status(request_id)["json"]["webhook"]["state"] == "delivered"
    assert len(receiver.received) == 2


def test_what_can_not_be_sent_again(system: WebhookSystem, receiver: Receiver) -> None:
    assert system.resend("nobody")["statusCode"] == 404
    without = system.predict(TEXT)["json"]["request_id"]
    assert system.resend(without)["json"]["type"] == "/problems/no-webhook"
    waiting = system.submit(url_of(receiver))["json"]["request_id"]
    answer = system.resend(waiting)
    assert (answer["statusCode"], answer["json"]["type"]) == (409, "/problems/not-final")
    assert answer["json"]["request_status"] == "pending"


def drained(system: WebhookSystem) -> None:
    """Relay and deliverer, until nothing passes the stream's filters any more."""
    while system.run_relay():
        system.run_deliverer()


def test_one_webhook_for_a_batch(system: WebhookSystem, receiver: Receiver) -> None:
    accepted = system.submit_batch_to(url_of(receiver), *[TEXT] * 12)
    system.run_worker()
    drained(system)
    assert receiver.received == []
    assert system.batch(accepted["poll_url"])["json"]["webhook"]["state"] == "waiting"
    system.run_worker()
    drained(system)
    (received,) = receiver.received
    document = Webhook(SECRET).verify(received.body, dict(received.headers))
    shown = system.batch(f"{accepted['poll_url']}?limit=0")["json"]
    assert {**document, "webhook": None} == {**shown, "webhook": None}
    assert (document["status"], document["counts"]["succeeded"], document["items"]) == ("finished", 12, [])
    assert received.headers["webhook-id"].startswith(f"{accepted['batch_id']}_")
    assert shown["webhook"]["state"] == "delivered"
    assert [attempt["status"] for attempt in shown["webhook"]["attempts"]] == [200]
    assert system.status(accepted["request_ids"][0])["json"]["webhook"] is None
    assert system.messages(WEBHOOKS) == 0


def test_a_batch_without_a_webhook_passes_no_filter(system: WebhookSystem) -> None:
    accepted = system.submit_batch(TEXT, TEXT)["json"]
    system.run_worker()
    assert system.batch(accepted["poll_url"])["json"]["status"] == "finished"
    assert system.run_relay() == 0


@pytest.mark.parametrize(("line", "status"), [(b'{"text": "fine"}', "finished"), (b"{}", "rejected")])
def test_a_batch_from_a_file(system: WebhookSystem, receiver: Receiver, line: bytes, status: str) -> None:
    system.submit_file_to(url_of(receiver), b'{"text": "fine"}\n' * 2 + line)
    system.run_batches()
    drained(system)
    while system.messages():
        system.run_worker()
        drained(system)
    (received,) = receiver.received
    document = Webhook(SECRET).verify(received.body, dict(received.headers))
    assert (document["status"], document["counts"]["succeeded"]) == (status, 3 if status == "finished" else 0)


def test_a_batch_whose_stream_was_lost(system: WebhookSystem, receiver: Receiver) -> None:
    system.submit_batch_to(url_of(receiver), TEXT)
    system.run_worker()
    system.changes()
    assert system.sweep()["webhooks_sent"] == 0
    system.time_passes(2 * 86_400)
    assert system.sweep()["webhooks_sent"] == 1
    assert system.sweep()["webhooks_sent"] == 0
    assert system.run_deliverer() == []
    drained(system)
    assert len(receiver.received) == 1


def test_a_resend_of_a_batch(system: WebhookSystem, receiver: Receiver) -> None:
    receiver.answer = lambda _: (410, {})
    accepted = system.submit_batch_to(url_of(receiver), TEXT)
    answer = system.resend_batch(accepted["batch_id"])
    assert (answer["statusCode"], answer["json"]["batch_status"]) == (409, "running")
    system.run_worker()
    drained(system)
    receiver.answer = lambda _: (200, {})
    answer = system.resend_batch(accepted["batch_id"])
    assert (answer["statusCode"], answer["json"]["webhook"]["state"]) == (202, "waiting")
    drained(system)
    attempts = system.batch(accepted["poll_url"])["json"]["webhook"]["attempts"]
    assert [attempt["status"] for attempt in attempts] == [410, 200]
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    assert system.resend_batch("nobody")["json"]["type"] == "/problems/unknown-batch"
