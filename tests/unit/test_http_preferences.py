"""Prefer: wait=n, as RFC 7240 has it."""

from __future__ import annotations

import pytest

from inference.http.messages import read_event
from inference.http.preferences import wait_seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("WAIT=5", 5),
        ("wait = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=7", 7),
        ("respond-async,wait=7; hint=1", 7),
        ("wait=60", 10),
        ("wait=3, wait=9", 3),
        ("wait=0", 0),
        ("wait", 0),
        ("wait=", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=soon", 0),
        ('wait="5', 0),
        ("wait=9999999999999999999999", 0),
        ("await=5", 0),
        ("wait2=5", 0),
        ("respond-async; wait=5", 0),
        ("", 0),
    ],
)
def test_how_long_a_client_would_wait(header: str, seconds: int) -> None:
    assert wait_seconds(read_event({"headers": {"Prefer": header}}), 10) == seconds


def test_nobody_waits_where_it_is_off() -> None:
    assert wait_seconds(read_event({"headers": {"prefer": "wait=5"}}), 0) == 0
    assert wait_seconds(read_event({}), 10) == 0
