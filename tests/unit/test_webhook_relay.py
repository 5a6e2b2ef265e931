"""From the table's stream to the queue, and what the sweeper does when that fails."""

from __future__ import annotations

import pytest

from inference import transitions
from inference.requests import Status, WebhookState
from inference.store.webhook_queue import WebhookMessage
from inference.webhooks.retries import MESSAGE_GRACE_MS
from tests.unit.fakes import NOW, Killed
from tests.unit.samples import DEADLINE, a_record, with_webhook
from tests.unit.webhook_harness import Webhooks, stream_record

W = WebhookState


@pytest.fixture
def webhooks() -> Webhooks:
    return Webhooks()


def test_a_message_for_each_record(webhooks: Webhooks) -> None:
    records = [stream_record(webhooks.end(name), number) for number, name in enumerate(("a1", "b2"))]
    assert webhooks.relay(records) == []
    bodies = [held.body for held in webhooks.queue.messages.values()]
    assert [WebhookMessage.from_body(body) for body in bodies] == [WebhookMessage("a1"), WebhookMessage("b2")]


def test_the_batch_is_repeated_from_the_first_that_was_not_sent(webhooks: Webhooks) -> None:
    records = [stream_record(webhooks.end(name), number) for number, name in enumerate(("a1", "b2", "c3"))]
    webhooks.into_queue.rejects = {1, 2}
    assert webhooks.relay(records) == ["1001"]
    assert [line["request_id"] for line in webhooks.log.events("webhook_not_queued")] == ["b2", "c3"]


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_every_outcome_is_announced(webhooks: Webhooks, status: Status) -> None:
    record = with_webhook(a_record(status=status, finished_at=NOW))
    webhooks.table.put(record)
    webhooks.relay([stream_record(record)])
    webhooks.deliver()
    assert webhooks.receiver.got[0][2]["status"] == status


def test_an_outcome_is_announced_by_the_stream_alone(webhooks: Webhooks) -> None:
    webhooks.table.put(with_webhook(a_record()))
    webhooks.table.apply([transitions.cancel("a1", NOW)])
    webhooks.run(60)
    assert (webhooks.state(), len(webhooks.receiver.got)) == (W.DELIVERED, 1)


def test_a_replayed_request_is_announced_again(webhooks: Webhooks) -> None:
    failed = with_webhook(a_record(status=Status.FAILED, finished_at=NOW - 1, error="{}"))
    webhooks.table.put(failed)
    webhooks.relay([stream_record(failed)])
    webhooks.run(60)
    failed = webhooks.table.record("a1")
    replay = transitions.replay(failed, NOW, expires_at=NOW * 2, delete_at=NOW, attempts=1)
    webhooks.table.apply([replay])
    webhooks.run(60)
    assert len(webhooks.receiver.got) == 1, "not final yet"
    webhooks.table.apply([transitions.cancel("a1", webhooks.clock())])
    webhooks.run(60)
    assert [document["status"] for _, _, document in webhooks.receiver.got] == ["failed", "cancelled"]
    assert len({headers["webhook-id"] for _, headers, _ in webhooks.receiver.got}) == 2


# The sweeper's part


def test_what_the_relay_lost_is_sent_after_the_deadline(webhooks: Webhooks) -> None:
    webhooks.end()
    webhooks.clock.advance(ms=DEADLINE * 1000 + MESSAGE_GRACE_MS)
    assert webhooks.sweep() == 0
    webhooks.clock.advance(ms=1)
    assert webhooks.sweep() == 1
    assert webhooks.sweep() == 0, "its turn has moved"
    webhooks.deliver()
    assert webhooks.state() == W.DELIVERED


def test_a_message_that_was_lost_is_sent_again(webhooks: Webhooks) -> None:
    webhooks.end(webhook_state=W.DELIVERING, webhook_attempts=1, webhook_lease_until=NOW - 1, webhook_due=NOW - 1)
    webhooks.run(60)
    assert webhooks.state() == W.DELIVERED


def test_what_is_not_final_or_has_ended_is_left_alone(webhooks: Webhooks) -> None:
    webhooks.table.put(with_webhook(a_record("a1"), webhook_due=NOW - 1))
    webhooks.table.put(with_webhook(a_record("b2", status=Status.FAILED, finished_at=NOW), webhook_due=None))
    assert webhooks.sweep() == 0


def test_a_message_that_is_not_taken_is_sent_at_the_next_sweep(webhooks: Webhooks) -> None:
    webhooks.end(webhook_due=NOW - 1)
    webhooks.into_queue.rejects = {0}
    assert webhooks.sweep() == 0
    assert webhooks.log.events("webhook_not_queued")
    webhooks.into_queue.rejects = set()
    assert webhooks.sweep() == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sweeper_that_is_killed_loses_nothing(webhooks: Webhooks, when: str) -> None:
    def kill(_: str) -> None:
        raise Killed

    webhooks.end(webhook_due=NOW - 1)
    setattr(webhooks.into_queue, when, kill)
    with pytest.raises(Killed):
        webhooks.sweep()
    setattr(webhooks.into_queue, when, lambda _: None)
    webhooks.run(60)
    assert (webhooks.state(), len(webhooks.receiver.got)) == (W.DELIVERED, 1)
    assert webhooks.queue.messages == {}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"request_id": 5}', '{"request_id": ""}', "null"])
def test_what_is_no_message(body: str) -> None:
    with pytest.raises(ValueError):
        WebhookMessage.from_body(body)


def test_messages_of_one_host_are_one_group() -> None:
    same = {WebhookMessage("a", url).group for url in ("https://h.example/a?token=1", "https://H.example:8443/b")}
    assert len(same) == 1
    assert same != {WebhookMessage("a", "https://other.example/a").group}
