"""Webhook verification agrees with the reference implementation, and lets nothing through that was changed."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from async_inference_client import BatchStatus, Request
from async_inference_client.errors import WebhookError
from async_inference_client.webhooks import TOLERANCE_SECONDS, verify

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
OTHER = base64.b64encode(bytes(range(32))).decode()
SENT = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
NOW = SENT.timestamp()
BODY = b'{"request_id": "r1", "status": "succeeded"}'


def headers(body: bytes = BODY, secret: str = SECRET, webhook_id: str = "msg_1") -> dict[str, str]:
    """As the reference implementation signs."""
    return {
        "Webhook-Id": webhook_id,
        "Webhook-Timestamp": str(int(NOW)),
        "Webhook-Signature": Webhook(secret).sign(webhook_id, SENT, body.decode()),
    }


@given(
    value=st.dictionaries(st.text(), st.integers() | st.text()),
    webhook_id=st.from_regex(r"[\w-]{1,40}", fullmatch=True),
)
def test_what_the_reference_implementation_signs_is_verified(value: Any, webhook_id: str) -> None:
    body = json.dumps(value).encode()
    found = verify(body, headers(body, webhook_id=webhook_id), SECRET, now=NOW)
    assert (found.id, found.sent_at, found.document) == (webhook_id, SENT, value)


def test_either_of_two_secrets_is_enough_while_one_replaces_the_other() -> None:
    assert verify(BODY, headers(secret=OTHER), [SECRET, OTHER], now=NOW).id == "msg_1"
    both = headers()
    both["Webhook-Signature"] += " " + headers(secret=OTHER)["Webhook-Signature"]
    for secret in (SECRET, OTHER):
        assert verify(BODY, both, secret, now=NOW).id == "msg_1"


@given(data=st.data())
def test_one_changed_byte_is_noticed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(BODY) - 1))
    changed = bytearray(BODY)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WebhookError, match="no signature"):
        verify(bytes(changed), headers(), SECRET, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Id": "msg_2"},
        {"Webhook-Timestamp": str(int(NOW) + 1)},
        {"Webhook-Signature": headers(secret=OTHER)["Webhook-Signature"]},
        {"Webhook-Signature": headers()["Webhook-Signature"].replace("v1,", "v1a,")},
        {"Webhook-Signature": headers()["Webhook-Signature"].replace("v1,", "v2,")},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,é"},
    ],
)
def test_a_changed_header_is_noticed(change: dict[str, str]) -> None:
    with pytest.raises(WebhookError, match="no signature"):
        verify(BODY, headers() | change, SECRET, now=NOW)


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_missing_header_is_named(name: str) -> None:
    kept = {key: value for key, value in headers().items() if key != name}
    with pytest.raises(WebhookError, match=name.lower()):
        verify(BODY, kept, SECRET, now=NOW)


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1])
def test_an_old_delivery_and_one_of_the_future_are_rejected(seconds: float) -> None:
    with pytest.raises(WebhookError, match="was signed"):
        verify(BODY, headers(), SECRET, now=NOW + seconds)
    assert verify(BODY, headers(), SECRET, now=NOW + seconds * 0.99)


@pytest.mark.parametrize("text", ["soon", "-5", "1.5", "9" * 40, "²"])
def test_a_timestamp_that_is_none_is_rejected(text: str) -> None:
    with pytest.raises(WebhookError, match="no time"):
        verify(BODY, headers() | {"Webhook-Timestamp": text}, SECRET, now=NOW)


def test_a_payload_that_is_not_json_is_rejected() -> None:
    with pytest.raises(WebhookError, match="not JSON"):
        verify(b"{", headers(b"{"), SECRET, now=NOW)


@pytest.mark.parametrize(("secrets", "said"), [("", "empty"), ("whsec_", "empty"), ("%%", "base64"), ([], "at least")])
def test_a_bad_secret_is_the_receivers_fault(secrets: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        verify(BODY, headers(), secrets, now=NOW)


def test_what_a_delivery_is_about() -> None:
    request = verify(BODY, headers(), SECRET, now=NOW).outcome
    assert isinstance(request, Request)
    assert (request.request_id, request.status) == ("r1", "succeeded")
    body = b'{"batch_id": "b1", "status": "finished", "total": 2, "counts": {"succeeded": 2}, "items": []}'
    batch = verify(body, headers(body), SECRET, now=NOW).outcome
    assert isinstance(batch, BatchStatus)
    assert (batch.batch_id, batch.finished, batch.counts) == ("b1", True, {"succeeded": 2})


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"request_id": "r1"}', b'{"batch_id": "b1"}'])
def test_a_payload_that_is_about_nothing(body: bytes) -> None:
    with pytest.raises(WebhookError, match="no status document"):
        _ = verify(body, headers(body), SECRET, now=NOW).outcome
