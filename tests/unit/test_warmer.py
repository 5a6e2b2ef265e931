"""The warmer's pings."""

from __future__ import annotations

from types import SimpleNamespace

from inference.telemetry import Telemetry
from inference.warmer import answer_ping


def test_an_environment_is_held_after_it_is_ready() -> None:
    done: list[str | float] = []
    context = SimpleNamespace(aws_request_id="i")
    event = {"ping": {"hold_ms": 200}}
    assert answer_ping(event, context, Telemetry("p-api"), lambda: done.append("ready"), done.append) == {}
    assert done == ["ready", 0.2]
