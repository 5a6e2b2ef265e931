"""Which answers end a delivery, and when the next attempt comes."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from inference.webhooks.retries import (
    DELAYS_SECONDS,
    MAX_DELIVERIES,
    MAX_RETRY_AFTER_SECONDS,
    SHORT_DELAY_SECONDS,
    Answer,
    Decision,
    Delivered,
    GivenUp,
    Retry,
    decide,
    retry_after_seconds,
)
from tests.unit.fakes import NOW

LATER = NOW // 1000 + 10**6
FAILED = Answer(status=503)


def decided(answer: Answer, attempt: int = 1, limit: int = MAX_DELIVERIES, delete_at: int = LATER) -> Decision:
    return decide(answer, attempt, limit, NOW, delete_at)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_ends_it(status: int) -> None:
    assert decided(Answer(status=status), attempt=MAX_DELIVERIES) == Delivered()


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 503, 599])
def test_any_other_status_is_tried_again(status: int) -> None:
    assert decided(Answer(status=status)) == Retry(5)


def test_no_answer_is_tried_again() -> None:
    assert decided(Answer(error="the name could not be resolved")) == Retry(5)


def test_410_ends_it() -> None:
    verdict = decided(Answer(status=410))
    assert isinstance(verdict, GivenUp)
    assert not verdict.dead_letter


def test_an_address_that_is_not_allowed_ends_it() -> None:
    assert decided(Answer(error="no", refused=True)) == GivenUp("no", dead_letter=False)


def test_delays_grow_and_last_over_a_day() -> None:
    delays = []
    for attempt in range(1, MAX_DELIVERIES):
        verdict = decided(FAILED, attempt)
        assert isinstance(verdict, Retry)
        delays.append(verdict.seconds)
    assert tuple(delays) == DELAYS_SECONDS
    assert delays == sorted(set(delays))
    assert sum(delays) > 86_400
    verdict = decided(FAILED, MAX_DELIVERIES)
    assert isinstance(verdict, GivenUp)
    assert verdict.dead_letter


def test_a_resend_begins_the_plan_again() -> None:
    """Attempts are counted on: after a resend the limit is higher."""
    assert decided(FAILED, attempt=4, limit=3 + MAX_DELIVERIES) == Retry(5)
    assert decided(FAILED, attempt=5, limit=3 + MAX_DELIVERIES) == Retry(300)


def test_short_delays_are_the_messages_long_ones_the_sweepers() -> None:
    assert [Retry(seconds).by_message for seconds in DELAYS_SECONDS] == [True, True, False, False, False, False, False]
    assert Retry(SHORT_DELAY_SECONDS).by_message
    assert not Retry(SHORT_DELAY_SECONDS + 1).by_message


@pytest.mark.parametrize(("left", "again"), [(6, True), (5, False), (0, False)])
def test_nothing_is_sent_after_the_retention(left: int, again: bool) -> None:
    verdict = decided(FAILED, delete_at=NOW // 1000 + left)
    assert isinstance(verdict, Retry) == again


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("999999999999999999999", MAX_RETRY_AFTER_SECONDS),
        ("٣", 0),
        (formatdate(NOW // 1000 + 90, usegmt=True), 90),
        (formatdate(NOW // 1000 - 90, usegmt=True), 0),
        (formatdate(NOW // 1000 + 10**7, usegmt=True), MAX_RETRY_AFTER_SECONDS),
        ("Wed, 99 Foo 2026 99:99:99 GMT", 0),
    ],
)
def test_retry_after(value: str | None, seconds: int) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("1", 5)])
def test_retry_after_delays_but_does_not_hurry(value: str, seconds: int) -> None:
    assert decided(Answer(status=429, retry_after=value)) == Retry(seconds)
