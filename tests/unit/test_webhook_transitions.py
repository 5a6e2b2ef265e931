"""Who may claim, end, retry and resend a webhook's delivery."""

from __future__ import annotations

from typing import Any

import pytest

from inference import transitions
from inference.requests import Record, Status, WebhookState
from inference.store.request_table import Applied
from inference.webhooks import transitions as webhook_transitions
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS, Retry
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW
from tests.unit.samples import a_record, with_webhook

W = WebhookState


def final(**changes: Any) -> Record:
    """A failed request whose webhook is in some state."""
    return with_webhook(a_record(status=Status.FAILED, finished_at=NOW - 5, attempts=1), **changes)


def applies(update: Any, record: Record) -> bool:
    table = FakeTable()
    table.put(record)
    return isinstance(table.apply([update])[0], Applied)


def after(update: Any, record: Record) -> Record:
    table = FakeTable()
    table.put(record)
    assert isinstance(table.apply([update])[0], Applied)
    return table.record(record.request_id)


def test_a_claim_counts_the_attempt_before_it_is_made() -> None:
    claimed = after(webhook_transitions.claim(final(), NOW + 30, NOW), final())
    assert (claimed.webhook_state, claimed.webhook_attempts, claimed.webhook_lease_until) == (W.DELIVERING, 1, NOW + 30)
    assert claimed.webhook_due == final().webhook_due, "until it has ended, the sweeper looks after it"


def test_of_two_claims_one_applies() -> None:
    table = FakeTable()
    table.put(final())
    claims = [webhook_transitions.claim(final(), NOW + 30, NOW)] * 2
    assert [isinstance(result, Applied) for result in table.apply(claims)] == [True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_state": W.DELIVERED},
        {"webhook_attempts": 1},
        {"finished_at": NOW},
        {"status": Status.PENDING, "finished_at": None},
    ],
)
def test_a_claim_of_what_has_changed_since_is_rejected(changes: dict[str, Any]) -> None:
    assert not applies(webhook_transitions.claim(final(), NOW + 30, NOW), final(**changes))


@pytest.mark.parametrize(("late", "over"), [(-1, False), (0, False), (1, True)])
def test_a_delivery_is_taken_over_when_its_lease_is_over(late: int, over: bool) -> None:
    record = final(webhook_state=W.DELIVERING, webhook_attempts=1, webhook_lease_until=NOW)
    assert applies(webhook_transitions.claim(record, NOW + 99, NOW + late), record) == over


def test_a_result_is_written_by_the_attempt_that_holds_the_claim() -> None:
    mine = final(webhook_state=W.DELIVERING, webhook_attempts=1, webhook_lease_until=NOW)
    theirs = mine._replace(webhook_attempts=2)
    replayed = mine._replace(status=Status.PENDING, finished_at=None, webhook_state=W.WAITING)
    again = mine._replace(finished_at=NOW + 5)
    resent = mine._replace(webhook_state=W.WAITING)
    for result in (
        webhook_transitions.end(mine, W.DELIVERED, "[]"),
        webhook_transitions.retry(mine, "[]", Retry(5), NOW),
    ):
        assert applies(result, mine)
        assert not any(applies(result, other) for other in (theirs, replayed, again, resent))


def test_what_has_ended_is_in_no_index_and_has_no_lease() -> None:
    table = FakeTable()
    record = final(webhook_state=W.DELIVERING, webhook_attempts=1, webhook_lease_until=NOW)
    table.put(record)
    table.apply([webhook_transitions.end(record, W.DELIVERED, "[1]")])
    assert not {"webhook_due", "webhook_shard", "webhook_lease_until"} & table.items["a1"].keys()
    assert (table.record("a1").webhook_state, table.record("a1").webhook_log) == (W.DELIVERED, "[1]")


@pytest.mark.parametrize(("seconds", "grace"), [(5, MESSAGE_GRACE_MS), (900, MESSAGE_GRACE_MS), (1800, 0)])
def test_a_short_delay_is_the_messages_and_a_long_one_the_sweepers(seconds: int, grace: int) -> None:
    record = final(webhook_state=W.DELIVERING, webhook_attempts=1, webhook_lease_until=NOW)
    waiting = after(webhook_transitions.retry(record, "[]", Retry(seconds), NOW), record)
    assert (waiting.webhook_state, waiting.webhook_retry_at) == (W.RETRYING, NOW + seconds * 1000)
    assert waiting.webhook_due == NOW + seconds * 1000 + grace


@pytest.mark.parametrize(
    ("state", "allowed"),
    [(W.WAITING, False), (W.DELIVERING, False), (W.RETRYING, True), (W.DELIVERED, True), (W.FAILED, True)],
)
def test_what_can_be_sent_again(state: WebhookState, allowed: bool) -> None:
    record = final(webhook_state=state, webhook_attempts=8, webhook_due=None)
    assert applies(webhook_transitions.resend(record, NOW), record) == allowed


def test_a_resend_gives_new_attempts_and_counts_on() -> None:
    record = final(webhook_state=W.FAILED, webhook_attempts=8, webhook_due=None)
    again = after(webhook_transitions.resend(record, NOW), record)
    assert (again.webhook_state, again.webhook_attempts) == (W.WAITING, 8)
    assert (again.webhook_attempt_limit, again.webhook_due) == (8 + MAX_DELIVERIES, NOW + MESSAGE_GRACE_MS)


def test_a_resend_of_a_request_that_is_not_final_is_rejected() -> None:
    record = final(webhook_state=W.FAILED)
    pending = record._replace(status=Status.PENDING, finished_at=None)
    assert not applies(webhook_transitions.resend(record, NOW), pending)


def test_a_replayed_requests_webhook_is_sent_again() -> None:
    record = final(webhook_state=W.DELIVERED, webhook_attempts=2, webhook_due=None)
    replay = transitions.replay(record, NOW, expires_at=NOW * 2, delete_at=NOW, attempts=5)
    replayed = after(replay, record)
    assert (replayed.status, replayed.webhook_state, replayed.webhook_attempts) == (Status.PENDING, W.WAITING, 2)
    assert (replayed.webhook_attempt_limit, replayed.webhook_due) == (2 + MAX_DELIVERIES, NOW * 2 + MESSAGE_GRACE_MS)


def test_an_attempt_that_began_meanwhile_keeps_its_number() -> None:
    """Else two attempts would have one number, and the late one could write the other's result."""
    record = final(webhook_state=W.WAITING)
    replay = transitions.replay(record, NOW, expires_at=NOW * 2, delete_at=NOW, attempts=5)
    assert not applies(replay, record._replace(webhook_state=W.DELIVERING, webhook_attempts=1))


def test_the_sweepers_turn_moves_once() -> None:
    table, record = FakeTable(), final(webhook_due=NOW)
    table.put(record)
    first, second = table.apply([webhook_transitions.postpone(record, NOW)] * 2)
    assert isinstance(first, Applied)
    assert not isinstance(second, Applied)
    assert table.record("a1").webhook_due == NOW + MESSAGE_GRACE_MS


def test_a_request_without_a_webhook_has_nothing_to_claim_or_resend() -> None:
    record = a_record(status=Status.FAILED, finished_at=NOW)
    for update in (webhook_transitions.claim(record, NOW, NOW), webhook_transitions.resend(record, NOW)):
        assert not applies(update, record)
