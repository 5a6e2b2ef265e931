"""Pings of the warmer: invocations that keep an environment of a function, and are no traffic.

A rule sends as many at once as environments are to be kept, each {"ping": {"hold_ms": 200}}. Each holds its environment
for that time, so that the others need environments of their own. A ping writes no metric and no line of its own, reads
no queue and claims nothing; and the first request after it does not count as a cold start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from inference.telemetry import Telemetry

PING = "ping"
"""The key of the event that no other event has: an SQS event has `Records`, API Gateway sets the keys of its own, and
what a client sends is in its `body`."""


def answer_ping(
    event: Mapping[str, Any],
    context: Any,
    telemetry: Telemetry,
    prepare: Callable[[], None] = lambda: None,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Hold this environment for a moment, after `prepare` has made ready what requests will need."""
    telemetry.begin(invocation_id=context.aws_request_id)
    prepare()
    pause(event[PING]["hold_ms"] / 1000)
    return {}
