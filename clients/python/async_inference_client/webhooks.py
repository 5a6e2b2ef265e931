"""Verifies webhook deliveries that are signed as Standard Webhooks (standardwebhooks.com) say, symmetric keys (v1).

    delivery = verify(body, headers, secrets)  # the body as bytes, before anything parses it
    match delivery.outcome:
        case Request() as request: ...
        case BatchStatus() as batch: ...

Deliveries may come twice: `delivery.id` is the same then. Answer 2xx soon; everything else is a failed delivery.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from async_inference_client.batch_models import BatchStatus
from async_inference_client.errors import WebhookError
from async_inference_client.models import Request

TOLERANCE_SECONDS = 300.0
PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified delivery.

    Attributes:
        id: the same for each delivery of one event.
        sent_at: when this delivery was signed.
        document: the JSON payload.
    """

    id: str
    sent_at: datetime
    document: Any

    @property
    def outcome(self) -> Request | BatchStatus:
        """What it is about: a final request, or a final batch without its items.

        Raises:
            WebhookError: the payload is neither's document.
        """
        try:
            if isinstance(self.document, dict) and "request_id" not in self.document:
                return BatchStatus.from_document(self.document)
            return Request.from_document(self.document)
        except (ValueError, AttributeError) as error:
            raise WebhookError(f"the payload is no status document: {error}") from error


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Delivery:
    """Check a delivery's signature and age, and read its payload.

    Args:
        body: the HTTP body as it came.
        headers: of the HTTP request; names in any case.
        secrets: the secret, or several while it is being replaced: base64, with or without `whsec_`.
        tolerance: how far the delivery's time may be from this machine's, in seconds.
        now: seconds since 1970; by default the clock's.

    Raises:
        WebhookError: a header is missing, no signature is of one of the secrets, it is too old or too far in the
            future, or the payload is not JSON.
        ValueError: a secret is not base64, or there is none.
    """
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise ValueError("a webhook is verified with at least one secret")
    found = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if not found.get(name)]
    if missing:
        raise WebhookError(f"the delivery has no {', '.join(missing)}")
    webhook_id, timestamp = found["webhook-id"], found["webhook-timestamp"]
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 11):
        raise WebhookError(f"webhook-timestamp is no time: {timestamp[:40]!r}")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    given = [text[3:].encode() for text in found["webhook-signature"].split(" ") if text.startswith("v1,")]
    if not any(hmac.compare_digest(_signature(key, signed), text) for key in keys for text in given):
        raise WebhookError("no signature of the delivery is of this secret")
    # After the signature: the error must not tell a stranger which times would be accepted.
    age = (time.time() if now is None else now) - int(timestamp)
    if abs(age) > tolerance:
        raise WebhookError(f"the delivery was signed {age:.0f} s ago, and {tolerance:.0f} s are accepted")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise WebhookError(f"the payload is not JSON: {error}") from error
    return Delivery(webhook_id, datetime.fromtimestamp(int(timestamp), UTC), document)


def _signature(key: bytes, signed: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the webhook secret is not base64") from error
    if not key:
        raise ValueError("the webhook secret is empty")
    return key
