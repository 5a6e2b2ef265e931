"""The address that a provider calls when a run is over: it names the request and the submit, and is signed.

    <api>/callbacks/<model>/<request id>/<submit's number>/<signature>

The signature is HMAC-SHA256 of these three, with a key derived from the provider's secret: nobody else can make an
address that this deployment reads anything for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from inference.requests import can_be_id

_PURPOSE = b"callback address"


def callback_url(api_url: str, model: str, request_id: str, number: int, secret: Mapping[str, str]) -> str:
    """The address for one submit."""
    return f"{api_url}/callbacks/{model}/{request_id}/{number}/{_signature(model, request_id, number, secret)}"


def is_signed(model: str, request_id: str, number: str, signature: str, secret: Mapping[str, str]) -> bool:
    """Whether an address was made by `callback_url`."""
    if not can_be_id(request_id) or not number.isascii() or not number.isdecimal() or len(number) > 9:
        return False
    return hmac.compare_digest(_signature(model, request_id, int(number), secret).encode(), signature.encode())


def _signature(model: str, request_id: str, number: int, secret: Mapping[str, str]) -> str:
    # `callback_key` is for providers without a way to ask (Cog): it outlives the rotation of the token.
    key = hmac.digest((secret.get("callback_key") or secret["token"]).encode(), _PURPOSE, hashlib.sha256)
    digest = hmac.digest(key, f"{model}|{request_id}|{number}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
