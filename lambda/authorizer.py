"""The authorizer function: whether the key that a call has is accepted, and whose it is.

API Gateway asks it with the value of one header (payload format 2.0, simple responses), and remembers the answer for
each value. An error of this function is a 500 of API Gateway's, which it does not remember.
"""

from __future__ import annotations

import os
from typing import Any

from inference.api_keys import MALFORMED, UNKNOWN, digest_of, is_key
from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.errors import Unavailable
from inference.settings import AuthorizerSettings
from inference.store.key_table import KeyTable
from inference.telemetry import Telemetry, function_name, now_ms

settings = AuthorizerSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level)
deadline = Deadline()
keys = KeyTable(clients.lean_client("dynamodb", deadline), settings.key_table)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one question of API Gateway's. The event has the key, so that nothing of it may be logged."""
    deadline.start(context.get_remaining_time_in_millis() / 1000)
    telemetry.begin(invocation_id=context.aws_request_id)
    (text,) = event["identitySource"]
    if not is_key(text):
        return _reject(MALFORMED)
    try:
        key = keys.find(digest_of(text))
    except Unavailable as error:
        telemetry.error("service_unavailable", error)
        raise
    if key is None:
        return _reject(UNKNOWN)
    if reason := key.rejected_at(now_ms()):
        return _reject(reason, key_name=key.name, key_id=key.key_id)
    return {"isAuthorized": True, "context": {"key_name": key.name}}


def _reject(reason: str, **known: str) -> dict[str, Any]:
    telemetry.info("key_rejected", reason=reason, **known)
    return {"isAuthorized": False}
