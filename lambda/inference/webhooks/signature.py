"""Signatures of Standard Webhooks: HMAC-SHA256 of id, time and body, with each live secret.

    webhook-id: <request_id>_<finished_at>        the same for all attempts and resends: receivers drop duplicates by it
    webhook-timestamp: <epoch seconds of the attempt>
    webhook-signature: v1,<base64> v1,<base64>    one for each secret; a receiver needs one of them

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from inference.errors import ConfigurationError

PREFIX = "whsec_"
MAX_SECRETS = 2
MIN_BYTES, MAX_BYTES = 24, 64
TOLERANCE_SECONDS = 300
"""How far the clocks of sender and receiver may be apart."""


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The live secrets in a stored text: one, or two while they are rotated, separated by white space.

    Each is `whsec_` and base64 of 24 to 64 bytes.

    Raises:
        ConfigurationError: there is none, there are too many, or one has another form. Its text is not in the message.
    """
    words = text.split()
    if not 1 <= len(words) <= MAX_SECRETS:
        raise ConfigurationError(f"the webhook secret has {len(words)} values; it must have one or two")
    return tuple(_secret(word) for word in words)


def _secret(word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not word.startswith(PREFIX) or not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ConfigurationError(f"a webhook secret is not {PREFIX} and base64 of {MIN_BYTES} to {MAX_BYTES} bytes")
    return key


def is_signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int) -> bool:
    """Whether a received webhook is signed with one of the secrets, and is of now: an old one may be a replay.

    Args:
        headers: names in lower case.
        now: epoch seconds.
    """
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    wanted = _signatures(headers.get("webhook-id", ""), timestamp, body, secrets)
    sent = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in wanted for other in sent)


def webhook_id(request_id: str, finished_at: int) -> str:
    """The id of an outcome's webhook. A full stop would be ambiguous in what is signed."""
    return f"{request_id.replace('.', '-')}_{finished_at}"


def signed_headers(name: str, now: int, body: bytes, secrets: Sequence[bytes]) -> Mapping[str, str]:
    """The headers of one attempt. `name`: the webhook's id. `now`: epoch milliseconds."""
    timestamp = str(now // 1000)
    return {
        "webhook-id": name,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signatures(name, timestamp, body, secrets)),
    }


def _signatures(name: str, timestamp: str, body: bytes, secrets: Sequence[bytes]) -> list[str]:
    signed = f"{name}.{timestamp}.".encode() + body
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return [f"v1,{base64.b64encode(digest).decode()}" for digest in digests]
