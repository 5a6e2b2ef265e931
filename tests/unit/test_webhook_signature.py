"""Signatures of webhooks, verified by the package that receivers use."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from inference.errors import ConfigurationError
from inference.webhooks.signature import TOLERANCE_SECONDS, is_signed, parse_secrets, signed_headers, webhook_id

OLD, NEW = ("whsec_" + base64.b64encode(bytes([number]) * 24).decode() for number in (1, 2))
BODY = json.dumps({"request_id": "a1", "result": {"text": "ü\u2028"}}).encode()


def now_ms() -> int:
    """The real time: the package compares the timestamp with it."""
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize("live", [(OLD,), (NEW, OLD), (OLD, NEW)])
def test_a_receiver_with_any_live_secret_accepts(live: tuple[str, ...]) -> None:
    headers = signed_headers("a1_1", now_ms(), BODY, parse_secrets(" ".join(live)))
    for secret in live:
        assert Webhook(secret).verify(BODY, dict(headers)) == json.loads(BODY)


def test_other_secrets_bodies_ids_and_times_are_rejected() -> None:
    headers = dict(signed_headers("a1_1", now_ms(), BODY, parse_secrets(OLD)))
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, headers | {"webhook-id": "a2_1"})
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)})


def test_the_signature_of_the_specifications_kind() -> None:
    """Known bytes, so that both sides can't be wrong in the same way."""
    headers = signed_headers("msg_1", 1_614_265_330_000, b'{"test": 2432232314}', (b"0" * 24,))
    assert headers["webhook-timestamp"] == "1614265330"
    expected = Webhook("whsec_" + base64.b64encode(b"0" * 24).decode())
    at = datetime.fromtimestamp(1_614_265_330, UTC)
    assert headers["webhook-signature"] == expected.sign("msg_1", at, '{"test": 2432232314}')


def test_secrets_are_one_or_two_and_separated_by_any_space() -> None:
    assert parse_secrets(f"{NEW}\n {OLD}\n") == (b"\x02" * 24, b"\x01" * 24)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        f"{OLD} {NEW} {OLD}",
        OLD.removeprefix("whsec_"),
        "whsec_n*t-base64",
        "whsec_%%%%",
        "whsec_" + base64.b64encode(b"1" * 23).decode(),
        "whsec_" + base64.b64encode(b"1" * 65).decode(),
    ],
)
def test_a_text_that_is_no_secret_is_rejected_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_secrets(text)
    for word in text.split():
        assert word.removeprefix("whsec_") not in str(error.value)


def test_an_id_is_of_one_outcome_and_has_no_full_stop() -> None:
    assert webhook_id("a.1", 5) == "a-1_5"
    assert webhook_id("a1", 5) != webhook_id("a1", 6)


def test_what_the_receivers_package_signs_is_verified() -> None:
    at = datetime.fromtimestamp(1_614_265_330, UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1614265330",
        "webhook-signature": Webhook(OLD).sign("msg_1", at, BODY.decode()),
    }
    now = 1_614_265_330
    assert is_signed(headers, BODY, parse_secrets(f"{NEW} {OLD}"), now + TOLERANCE_SECONDS)
    assert not is_signed(headers, BODY, parse_secrets(NEW), now)
    assert not is_signed(headers, BODY + b" ", parse_secrets(OLD), now)
    assert not is_signed(headers | {"webhook-id": "msg_2"}, BODY, parse_secrets(OLD), now)
    assert not is_signed(headers, BODY, parse_secrets(OLD), now + TOLERANCE_SECONDS + 1)
    for name in headers:
        assert not is_signed({key: headers[key] for key in headers if key != name}, BODY, parse_secrets(OLD), now)
