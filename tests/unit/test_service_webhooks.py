"""The API's rules on webhooks: whose URL a request gets, and what can be sent again."""

from __future__ import annotations

from typing import Any

import pytest

from inference import transitions
from inference.errors import KeyReused, NotFinal, NoWebhook, Unavailable, UnknownRequest
from inference.listing import Listing
from inference.requests import Record, Status, WebhookState
from inference.service import Limits, Service
from inference.webhooks.options import NONE
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS
from tests.unit.api_harness import INPUT, ME, YOU, Api
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import DEADLINE, RETENTION, WEBHOOK_URL, a_catalog, a_record, with_webhook

W = WebhookState
OTHER_URL = "https://example.org/other"


def submit(api: Api, webhook: str | None = WEBHOOK_URL, key: str | None = None) -> Record:
    return api.service.submit(None, dict(INPUT), ME, api.clock(), key, webhook)


def with_default(api: Api) -> Api:
    """The same, in a deployment with a default."""
    limits = Limits(attempts=5, deadline=DEADLINE, retention=RETENTION)
    listing = Listing(api.table.caller_index, api.table)
    api.service = Service(
        api.table, api.queues.__getitem__, a_catalog(), listing, limits, api.payloads, webhook_url=WEBHOOK_URL
    )
    return api


def test_the_record_of_a_request_with_a_webhook(api: Api) -> None:
    record = api.table.record(submit(api).request_id)
    assert (record.webhook_url, record.webhook_state, record.webhook_attempts) == (WEBHOOK_URL, W.WAITING, 0)
    assert record.webhook_attempt_limit == MAX_DELIVERIES
    assert record.webhook_due == NOW + DEADLINE * 1000 + MESSAGE_GRACE_MS


@pytest.mark.parametrize("webhook", [None, NONE])
def test_a_request_without_a_webhook_has_no_field_of_one(api: Api, webhook: str | None) -> None:
    record = submit(api, webhook)
    assert not [name for name in api.table.items[record.request_id] if name.startswith("webhook")]


@pytest.mark.parametrize(
    ("webhook", "expected"), [(None, WEBHOOK_URL), (OTHER_URL, OTHER_URL), (NONE, None)], ids=["default", "own", "none"]
)
def test_a_deployments_default(api: Api, webhook: str | None, expected: str | None) -> None:
    assert submit(with_default(api), webhook).webhook_url == expected


def test_a_repeat_with_the_same_webhook_is_the_same_request(api: Api) -> None:
    assert submit(api, key="k").request_id == submit(api, key="k").request_id


@pytest.mark.parametrize("other", [OTHER_URL, NONE])
def test_a_key_is_of_one_webhook(api: Api, other: str) -> None:
    first = submit(api, key="k")
    with pytest.raises(KeyReused, match="another webhook") as error:
        submit(api, other, key="k")
    assert error.value.facts == {"request_id": first.request_id}


def test_a_repeat_that_names_no_webhook_is_not_compared(api: Api) -> None:
    """The default may be another since the first submit."""
    first = submit(api, None, key="k")
    assert submit(with_default(api), None, key="k").request_id == first.request_id


def ended(api: Api, **changes: Any) -> Record:
    record = with_webhook(a_record(caller=ME, status=Status.FAILED, finished_at=NOW), **changes)
    api.table.put(record)
    return record


def resend(api: Api, caller: str = ME) -> Record:
    return api.service.resend_webhook("a1", caller, api.clock())


@pytest.mark.parametrize("state", [W.DELIVERED, W.FAILED, W.RETRYING])
def test_a_webhook_is_sent_again(api: Api, state: WebhookState) -> None:
    ended(api, webhook_state=state, webhook_attempts=3, webhook_due=None)
    record = resend(api)
    assert (record.webhook_state, record.webhook_attempt_limit) == (W.WAITING, 3 + MAX_DELIVERIES)
    assert record == api.table.record("a1")


@pytest.mark.parametrize("state", [W.WAITING, W.DELIVERING])
def test_what_is_about_to_be_sent_is_left_alone(api: Api, state: WebhookState) -> None:
    record = ended(api, webhook_state=state)
    assert resend(api) == record
    assert api.table.log == []


def test_two_resends_at_once_are_one(api: Api) -> None:
    ended(api, webhook_state=W.FAILED, webhook_attempts=3)

    def another(operation: str) -> None:
        if operation == "apply":
            api.table.before = lambda _: None
            resend(api)

    api.table.before = another
    assert resend(api).webhook_state == W.WAITING
    assert len(api.table.log) == 1


def test_what_can_not_be_sent_again(api: Api) -> None:
    with pytest.raises(UnknownRequest):
        resend(api)
    ended(api, webhook_state=W.FAILED)
    with pytest.raises(UnknownRequest):
        resend(api, YOU)
    api.table.put(a_record(caller=ME, status=Status.FAILED, finished_at=NOW))
    with pytest.raises(NoWebhook):
        resend(api)
    api.table.put(with_webhook(a_record(caller=ME)))
    with pytest.raises(NotFinal) as error:
        resend(api)
    assert error.value.facts == {"request_id": "a1", "request_status": "pending"}


def test_a_resend_of_a_request_that_is_replayed_meanwhile(api: Api) -> None:
    record = ended(api, webhook_state=W.FAILED, webhook_attempts=3)
    replay = transitions.replay(record, NOW, expires_at=NOW * 2, delete_at=NOW * 2, attempts=1)

    def replayed(operation: str) -> None:
        if operation == "apply":
            api.table.before = lambda _: None
            api.table.apply([replay])

    api.table.before = replayed
    assert resend(api).status is Status.PENDING, "its new outcome is announced"


def test_a_resend_that_could_not_be_written(api: Api) -> None:
    record = ended(api, webhook_state=W.FAILED)
    api.table.faults = [Fault("apply")]
    with pytest.raises(Unavailable):
        resend(api)
    assert api.table.record("a1") == record
