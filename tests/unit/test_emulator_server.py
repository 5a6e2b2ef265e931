"""The pause before writes: what it leaves out, and that it changes nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scripts.local import emulator_server
from scripts.local.emulator_server import with_write_delay

BODY = [
    {"type": "http.request", "body": b"a", "more_body": True},
    {"type": "http.request", "body": b"b", "more_body": False},
]
GONE = {"type": "http.disconnect"}


def ask(method: str, events: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """What the application received of a request whose client sends these events, or None if it was never called."""
    received: list[list[dict[str, Any]]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["method"] == method
        received.append([await receive() for _ in BODY])

    async def whole() -> None:
        waiting = list(events)

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop(0)
            await asyncio.Event().wait()  # a client that stays
            raise AssertionError

        await with_write_delay(application)({"type": "http", "method": method, "headers": []}, receive, None)

    asyncio.run(asyncio.wait_for(whole(), 5))
    return received[0] if received else None


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_server, "PAUSE_SECONDS", 0.001)


def test_a_write_arrives_whole() -> None:
    assert ask("POST", BODY) == BODY


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_a_write_of_a_client_that_is_gone_is_left_out(sent: int) -> None:
    assert ask("POST", [*BODY[:sent], GONE]) is None


def test_a_read_is_passed_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_server, "PAUSE_SECONDS", 60)
    assert ask("GET", BODY) == BODY
