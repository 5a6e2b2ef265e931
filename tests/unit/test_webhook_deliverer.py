"""The deliverer: one delivery for each outcome, retries, and what a process that is killed leaves."""

from __future__ import annotations

import base64
import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from inference import transitions as request_transitions
from inference.description import describe
from inference.errors import Unavailable
from inference.requests import Record, Status, WebhookState
from inference.store.payloads import FileInfo, files_to_json
from inference.webhooks import transitions
from inference.webhooks.deliverer import MAX_LOGGED_ATTEMPTS
from inference.webhooks.retries import DELAYS_SECONDS, MAX_DELIVERIES, Answer
from tests.unit.fakes import NOW, Fault, Killed
from tests.unit.samples import WEBHOOK_URL
from tests.unit.webhook_harness import LEASE_SECONDS, SECRET, Webhooks, stream_record

W = WebhookState
RESULTS = (transitions.WEBHOOK_END, transitions.WEBHOOK_RETRY)


@pytest.fixture
def webhooks() -> Webhooks:
    return Webhooks()


def begun(webhooks: Webhooks, **changes: Any) -> Record:
    """A request that became final, and whose message is on the queue."""
    record = webhooks.end(**changes)
    assert webhooks.relay([stream_record(record)]) == []
    return record


def test_a_delivery(webhooks: Webhooks) -> None:
    begun(webhooks)
    assert webhooks.deliver() == []
    ((url, headers, document),) = webhooks.receiver.got
    assert url == WEBHOOK_URL
    assert headers["webhook-id"] == f"a1_{NOW}"
    assert (document["request_id"], document["status"], document["result"]) == ("a1", "succeeded", {})
    assert (webhooks.state(), webhooks.queue.messages) == (W.DELIVERED, {})
    (attempt,) = describe(webhooks.table.record("a1"), NOW)["webhook"]["attempts"]
    assert attempt == {
        "attempt": 1,
        "at": "2027-01-15T08:00:00.000Z",
        "status": 200,
        "error": None,
        "duration_ms": 7,
    }
    assert webhooks.log.events("webhook_delivered")[0]["status"] == 200


def test_the_payload_is_the_status_document_of_that_moment(webhooks: Webhooks) -> None:
    begun(webhooks)
    webhooks.deliver()
    ((_, _, document),) = webhooks.receiver.got
    claimed = next(after for update, _, after in webhooks.table.log if update.transition is transitions.WEBHOOK_CLAIM)
    assert document == json.loads(json.dumps(describe(claimed, NOW)))
    assert (document["webhook"]["state"], document["webhook"]["attempts"]) == ("delivering", [])


def test_each_attempt_has_links_to_the_files_of_the_result(webhooks: Webhooks) -> None:
    file = FileInfo("attempt-1/0", 4, "0" * 64, "image/png")
    begun(webhooks, files=files_to_json([file]))
    webhooks.receiver.answers = [Answer(status=503)]
    webhooks.run(60)
    links = [document["files"][0] for _, _, document in webhooks.receiver.got]
    assert [link["url"] for link in links] == ["download:requests/a1/attempt-1/0"] * 2
    assert links[0]["expires_at"] < links[1]["expires_at"]


def test_the_signature_is_that_of_the_bytes_that_are_sent(webhooks: Webhooks) -> None:
    sent: list[tuple[Any, bytes]] = []
    real = webhooks.receiver.post
    webhooks.receiver.post = lambda url, headers, body: (sent.append((headers, body)), real(url, headers, body))[1]
    begun(webhooks)
    webhooks.deliver()
    ((headers, body),) = sent
    receiver = Webhook("whsec_" + base64.b64encode(SECRET).decode())
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == receiver.sign(headers["webhook-id"], at, body.decode())
    assert at.timestamp() == NOW // 1000


def test_a_second_message_sends_nothing(webhooks: Webhooks) -> None:
    record = begun(webhooks)
    webhooks.relay([stream_record(record)] * 2)
    assert webhooks.deliver() == []
    assert len(webhooks.receiver.got) == 1
    assert webhooks.queue.messages == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.PENDING, "finished_at": None},
        {"status": Status.RUNNING, "finished_at": None},
        {"webhook_url": None, "webhook_state": None},
        {"webhook_state": W.DELIVERED},
        {"webhook_state": W.FAILED},
        {"delete_at": NOW // 1000},
    ],
    ids=str,
)
def test_nothing_is_sent_for(webhooks: Webhooks, changes: dict[str, Any]) -> None:
    begun(webhooks, **changes)
    assert webhooks.deliver() == []
    assert (webhooks.receiver.got, webhooks.queue.messages) == ([], {})


def test_nothing_is_sent_for_a_record_that_is_gone(webhooks: Webhooks) -> None:
    begun(webhooks)
    webhooks.table.items.clear()
    assert webhooks.deliver() == []
    assert (webhooks.receiver.got, webhooks.queue.messages) == ([], {})


def test_retries_grow_for_over_a_day_and_then_it_is_a_dead_letter(webhooks: Webhooks) -> None:
    webhooks.receiver.answers = [Answer(status=503)] * 99
    begun(webhooks)
    webhooks.run(2 * 86_400)
    record = webhooks.table.record("a1")
    assert (record.webhook_state, record.webhook_attempts) == (W.FAILED, MAX_DELIVERIES)
    assert record.webhook_due is None
    log = json.loads(record.webhook_log or "")
    assert [entry["attempt"] for entry in log] == list(range(1, MAX_DELIVERIES + 1))
    times = [int(headers["webhook-timestamp"]) for _, headers, _ in webhooks.receiver.got]
    waits = [after - before for before, after in itertools.pairwise(times)]
    for wait, planned in zip(waits, DELAYS_SECONDS, strict=True):
        assert planned <= wait <= planned + 330, "no earlier than planned, and at the sweeper's next turn at the latest"
    assert sum(waits) > 86_400
    assert [json.loads(held.body) for held in webhooks.dead_letters.messages.values()] == [
        {"request_id": "a1", "again": True}
    ]
    assert len({headers["webhook-id"] for _, headers, _ in webhooks.receiver.got}) == 1
    assert webhooks.log.events("webhook_failed")[0]["level"] == "WARNING"


def test_a_redrive_of_the_dead_letters_sends_again(webhooks: Webhooks) -> None:
    begun(webhooks, webhook_state=W.FAILED, webhook_attempts=8, webhook_due=None)
    webhooks.queue.messages.clear()
    webhooks.queue.put('{"request_id": "a1", "again": true}')
    webhooks.run(60)
    assert (webhooks.state(), len(webhooks.receiver.got)) == (W.DELIVERED, 1)
    assert webhooks.queue.messages == {}


def test_a_receiver_that_comes_back_gets_it(webhooks: Webhooks) -> None:
    webhooks.receiver.answers = [Answer(status=503), Answer(error="no connection could be made"), Answer(status=302)]
    begun(webhooks)
    webhooks.run(3 * 3600)
    assert webhooks.state() == W.DELIVERED
    assert len(webhooks.receiver.got) == 4
    log = json.loads(webhooks.table.record("a1").webhook_log or "")
    assert [(entry["status"], entry["error"]) for entry in log] == [
        (503, None),
        (None, "no connection could be made"),
        (302, None),
        (200, None),
    ]


def test_410_stops(webhooks: Webhooks) -> None:
    webhooks.receiver.answers = [Answer(status=410)]
    begun(webhooks)
    webhooks.run(3600)
    assert (webhooks.state(), len(webhooks.receiver.got)) == (W.FAILED, 1)
    assert (webhooks.queue.messages, webhooks.dead_letters.messages) == ({}, {})


def test_retry_after_is_honoured(webhooks: Webhooks) -> None:
    webhooks.receiver.answers = [Answer(status=429, retry_after="120")]
    begun(webhooks)
    webhooks.deliver()
    assert webhooks.table.record("a1").webhook_retry_at == NOW + 120_000
    assert webhooks.queue.shown == [{"m1/1": 120}]
    webhooks.clock.advance(seconds=119)
    assert webhooks.deliver() == []
    webhooks.clock.advance(seconds=1)
    webhooks.deliver()
    assert webhooks.state() == W.DELIVERED


def test_a_message_that_comes_too_early_waits(webhooks: Webhooks) -> None:
    """For example after a process that was killed before it had set the visibility timeout."""
    begun(webhooks, webhook_state=W.RETRYING, webhook_attempts=1, webhook_retry_at=NOW + 299_500)
    assert webhooks.deliver() == ["m1"]
    assert webhooks.queue.shown == [{"m1/1": 300}]
    assert webhooks.receiver.got == []


def test_a_message_that_comes_hours_too_early_is_left_to_the_sweeper(webhooks: Webhooks) -> None:
    begun(webhooks, webhook_state=W.RETRYING, webhook_attempts=3, webhook_retry_at=NOW + 1_800_000)
    assert webhooks.deliver() == []
    assert (webhooks.receiver.got, webhooks.queue.messages) == ([], {})


def test_while_another_process_delivers_the_message_waits(webhooks: Webhooks) -> None:
    begun(webhooks, webhook_state=W.DELIVERING, webhook_attempts=1, webhook_lease_until=NOW + 20_000)
    assert webhooks.deliver() == ["m1"]
    assert webhooks.queue.shown == [{"m1/1": 21}]
    assert webhooks.receiver.got == []


def test_a_claim_that_another_process_won_sends_nothing(webhooks: Webhooks) -> None:
    begun(webhooks)

    def another_claims(operation: str) -> None:
        if operation == "apply":
            webhooks.table.before = lambda _: None
            current = webhooks.table.record("a1")
            webhooks.table.put(current._replace(webhook_state=W.DELIVERING, webhook_attempts=1))

    webhooks.table.before = another_claims
    assert webhooks.deliver() == ["m1"]
    assert webhooks.receiver.got == []


def test_a_replay_during_the_delivery_leaves_the_new_outcome_to_come(webhooks: Webhooks) -> None:
    record = begun(webhooks, status=Status.FAILED)

    def replay(_: str) -> None:
        current = webhooks.table.record("a1")
        update = request_transitions.replay(current, NOW, expires_at=NOW * 2, delete_at=NOW, attempts=1)
        webhooks.table.apply([update])

    webhooks.receiver.after = replay
    assert webhooks.deliver() == []
    replayed = webhooks.table.record("a1")
    assert (replayed.status, replayed.webhook_state, replayed.webhook_attempts) == (Status.PENDING, W.WAITING, 1)
    assert webhooks.log.events("webhook_result_dropped")[0]["request_id"] == record.request_id


def test_the_log_of_attempts_is_bounded(webhooks: Webhooks) -> None:
    old = json.dumps([{"attempt": number} for number in range(1, MAX_LOGGED_ATTEMPTS + 1)])
    begun(webhooks, webhook_attempts=20, webhook_attempt_limit=28, webhook_log=old)
    webhooks.deliver()
    log = json.loads(webhooks.table.record("a1").webhook_log or "")
    assert [entry["attempt"] for entry in log] == list(range(2, MAX_LOGGED_ATTEMPTS + 2))


def test_an_unreadable_message_becomes_a_dead_letter(webhooks: Webhooks) -> None:
    webhooks.queue.put("not json")
    for _ in range(12):
        webhooks.deliver()
    assert webhooks.queue.dead_lettered == ["not json"]
    assert webhooks.log.events("message_unreadable")


def test_without_secrets_no_attempt_is_made(webhooks: Webhooks) -> None:
    def fails() -> Any:
        raise Unavailable("no secret")

    begun(webhooks)
    webhooks.secrets = fails
    with pytest.raises(Unavailable):
        webhooks.deliver()
    assert webhooks.table.record("a1").webhook_attempts == 0


@pytest.mark.parametrize("operation", ["get", "apply"])
def test_a_table_that_does_not_answer_keeps_the_message(webhooks: Webhooks, operation: str) -> None:
    begun(webhooks)
    webhooks.table.faults = [Fault(operation)]
    assert webhooks.deliver() == ["m1"]
    assert webhooks.receiver.got == []
    webhooks.clock.advance(seconds=5)
    webhooks.deliver()
    assert webhooks.state() == W.DELIVERED


# Killed at each step. The steps of a delivery: what is called, in order.

STEPS = [
    *[("table", "get", when) for when in ("before", "after")],
    *[("table", "apply", when) for when in ("before", "after")],  # the claim
    *[("receiver", "post", when) for when in ("before", "after")],
    *[("table", "apply 2", when) for when in ("before", "after")],  # the result
]
SENT_BEFORE_THE_KILL = {("receiver", "post", "after"), ("table", "apply 2", "before"), ("table", "apply 2", "after")}


def kill_at(webhooks: Webhooks, part: str, step: str, when: str) -> None:
    """Have the process end there, once."""
    operation, _, nth = step.partition(" ")
    left = int(nth or 1)
    faulty = getattr(webhooks, part)

    def kill(called: str) -> None:
        nonlocal left
        if called == operation:
            left -= 1
            if left == 0:
                raise Killed

    setattr(faulty, when, kill)


@pytest.mark.parametrize("answers", [[], [Answer(status=503)]], ids=["accepted", "rejected first"])
@pytest.mark.parametrize(("part", "step", "when"), STEPS)
def test_killed_at_each_step(webhooks: Webhooks, part: str, step: str, when: str, answers: list[Answer]) -> None:
    """Nothing is lost, and at most one delivery is made in addition."""
    webhooks.receiver.answers = list(answers)
    begun(webhooks)
    kill_at(webhooks, part, step, when)
    with pytest.raises(Killed):
        webhooks.deliver()
    sent_before = len(webhooks.receiver.got)
    assert sent_before == ((part, step, when) in SENT_BEFORE_THE_KILL)
    webhooks.run(3600)
    assert webhooks.state() == W.DELIVERED
    wanted = 1 + len(answers)
    extra = len(webhooks.receiver.got) - wanted
    unrecorded = sent_before and (part, step, when) != ("table", "apply 2", "after")
    assert extra == (1 if unrecorded and not answers else 0)
    assert webhooks.queue.messages == {}


@pytest.mark.parametrize("answer", [Answer(status=200), Answer(status=503)], ids=["delivered", "rejected"])
def test_a_result_whose_answer_was_lost_counts_when_the_client_repeats_it(webhooks: Webhooks, answer: Answer) -> None:
    """The AWS client repeats a write that got no answer; the repeat is then rejected by what the first has written."""
    webhooks.receiver.answers = [answer]
    begun(webhooks)
    apply = webhooks.table.apply

    def twice(updates: Any) -> Any:
        first = apply(updates)
        return apply(updates) if updates[0].transition in RESULTS else first

    webhooks.table.apply = twice
    kept = webhooks.deliver()
    assert not webhooks.log.events("webhook_result_dropped")
    assert len(kept) == (answer.status != 200), "the message of a retry comes back"
    webhooks.run(60)
    assert webhooks.state() == W.DELIVERED


def test_killed_after_the_send_each_time_it_ends_as_failed(webhooks: Webhooks) -> None:
    """A receiver, or a document, that kills the deliverer must not be sent for ever."""

    def kill(_: str) -> None:
        raise Killed

    begun(webhooks)
    webhooks.receiver.after = kill
    for _ in range(40):
        try:
            webhooks.deliver()
        except Killed:
            webhooks.clock.advance(seconds=LEASE_SECONDS)
        webhooks.clock.advance(seconds=180)
        webhooks.sweep()
    record = webhooks.table.record("a1")
    assert (record.webhook_state, len(webhooks.receiver.got)) == (W.FAILED, MAX_DELIVERIES)
    assert "interrupted" in (record.webhook_log or "")
    assert any("again" in held.body for held in webhooks.dead_letters.messages.values())


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_dead_letter(webhooks: Webhooks, when: str) -> None:
    begun(webhooks, webhook_attempts=MAX_DELIVERIES - 1)
    webhooks.receiver.answers = [Answer(status=503)]
    kill_at(webhooks, "into_dead_letters", "send", when)
    with pytest.raises(Killed):
        webhooks.deliver()
    setattr(webhooks.into_dead_letters, when, lambda _: None)
    webhooks.run(1200)
    assert (webhooks.state(), len(webhooks.receiver.got)) == (W.FAILED, 1)
    assert len(webhooks.dead_letters.messages) == (2 if when == "after" else 1)


def test_a_dead_letter_that_is_not_taken_keeps_the_webhook(webhooks: Webhooks) -> None:
    begun(webhooks, webhook_attempts=MAX_DELIVERIES - 1)
    webhooks.receiver.answers = [Answer(status=503)]
    webhooks.into_dead_letters.rejects = {0}
    assert webhooks.deliver() == ["m1"]
    assert webhooks.state() == W.DELIVERING
    webhooks.into_dead_letters.rejects = set()
    webhooks.run(600)
    assert webhooks.state() == W.FAILED
    assert len(webhooks.dead_letters.messages) == 1
