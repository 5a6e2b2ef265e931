"""Calls of providers over real connections: what each status and each broken connection means."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from inference.errors import ConfigurationError
from tests.integration.backends.scripted_provider import ScriptedProvider
from tests.integration.receivers import Authority, Receiver, raw_receiver
from worker.backends.base import BackendError, Misconfigured, Refused, Rejected, Uncertain
from worker.backends.http import MIN_SECONDS, AnswerTooLarge, Http, segment

TOKEN = "t0p-secret"


def call(provider: ScriptedProvider, **options: object) -> object:
    return Http("Provider", provider.url, TOKEN, **options).call("POST", "/run", {"a": 1}).body


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, Misconfigured),
        (303, Misconfigured),
        (400, Rejected),
        (401, Misconfigured),
        (402, Rejected),
        (403, Misconfigured),
        (404, Misconfigured),
        (405, Rejected),
        (408, Uncertain),
        (413, Rejected),
        (422, Rejected),
        (425, Refused),
        (429, Refused),
        (500, Uncertain),
        (502, Uncertain),
        (503, Refused),
        (504, Uncertain),
    ],
)
def test_each_status_has_one_meaning(provider: ScriptedProvider, status: int, error: type[BackendError]) -> None:
    provider.says({"detail": "because"}, status)
    with pytest.raises(BackendError) as raised:
        call(provider)
    assert type(raised.value) is error
    assert str(status) in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert len(provider.asked) == 1, "a call is never repeated here"


def test_an_expected_status_is_an_answer(provider: ScriptedProvider) -> None:
    provider.says({"detail": "because"}, 404)
    answer = Http("Provider", provider.url, TOKEN).call("GET", "/x", expected=frozenset({404}))
    assert (answer.status, answer.body) == (404, {"detail": "because"})


def test_what_is_sent(provider: ScriptedProvider) -> None:
    provider.says({"ok": True})
    http = Http("Provider", f"{provider.url}/base/", TOKEN)
    assert http.call("PUT", f"/{segment('a/b?c')}", {"text": "ü"}, {"Prefer": "respond-async"}).body == {"ok": True}
    (asked,) = provider.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/base/a%2Fb%3Fc", {"text": "ü"})
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["prefer"] == "respond-async"
    assert asked.headers["content-type"] == "application/json"
    http.call("GET", "")
    assert "content-type" not in provider.asked[1].headers
    assert provider.asked[1].path == "/base"


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), (None, None)]
)
def test_a_refusal_says_when_to_come_back(provider: ScriptedProvider, header: str | None, seconds: int | None) -> None:
    provider.says(None, 429, **({"Retry_After": header} if header else {}))
    with pytest.raises(Refused) as raised:
        call(provider)
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize("body", [b"<html>", b'{"half":', b"\xff", b"[" * 100_000])
def test_an_answer_that_is_not_json_is_uncertain(provider: ScriptedProvider, body: bytes) -> None:
    provider.says(body)
    with pytest.raises(Uncertain, match="not JSON"):
        call(provider)


def test_an_answer_is_read_to_a_bound(provider: ScriptedProvider) -> None:
    provider.says({"output": "x" * 1000})
    assert call(provider, max_bytes=2000) == {"output": "x" * 1000}
    with pytest.raises(AnswerTooLarge, match="more than 1,000 bytes"):
        call(provider, max_bytes=1000)


def test_no_answer_in_time_is_uncertain() -> None:
    ended = threading.Event()

    def silent(connection: socket.socket) -> None:
        ended.wait(10)

    with raw_receiver(silent) as port, pytest.raises(Uncertain, match="did not answer within"):
        try:
            Http("Provider", f"http://127.0.0.1:{port}", TOKEN, seconds=1.0).call("POST", "/run", {})
        finally:
            ended.set()


def test_a_dripping_answer_ends_in_time() -> None:
    ended = threading.Event()

    def drips(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not ended.wait(0.05):
            try:
                connection.sendall(b"X-More: a\r\n")
            except OSError:
                return

    with raw_receiver(drips) as port, pytest.raises(Uncertain, match="did not answer within"):
        try:
            Http("Provider", f"http://127.0.0.1:{port}", TOKEN, seconds=1.0).call("POST", "/run", {})
        finally:
            ended.set()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", b"SSH-2.0\r\n"])
def test_a_broken_connection_is_uncertain(sent: bytes) -> None:
    def breaks(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(sent)

    with raw_receiver(breaks) as port, pytest.raises(Uncertain):
        Http("Provider", f"http://127.0.0.1:{port}", TOKEN).call("POST", "/run", {})


def test_no_connection_is_a_refusal() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(Refused, match="can't be reached"):
            Http("Provider", f"http://127.0.0.1:{taken.getsockname()[1]}", TOKEN).call("POST", "/run", {})


def test_a_name_that_does_not_resolve_is_a_refusal() -> None:
    with pytest.raises(Refused, match="can't be reached"):
        Http("Provider", "https://provider.invalid", TOKEN).call("POST", "/run", {})


def test_an_invocation_without_time_calls_nobody(provider: ScriptedProvider) -> None:
    provider.says({})
    with pytest.raises(Refused, match="no time left"):
        call(provider, remaining=lambda: MIN_SECONDS / 2)
    assert provider.asked == []


@pytest.mark.parametrize("url", ["http://example.com", "ftp://127.0.0.1", "example.com", "https://", "https://h:99999"])
def test_a_token_is_not_sent_without_tls(url: str) -> None:
    with pytest.raises(ConfigurationError, match="url"):
        Http("Provider", url, TOKEN)


@pytest.mark.parametrize("token", ["a\r\nX-Other: b", "ä"])
def test_a_token_with_a_line_break_is_not_sent(token: str) -> None:
    with pytest.raises(ConfigurationError, match="token") as raised:
        Http("Provider", "https://example.com", token)
    assert token not in str(raised.value)


def test_tls_is_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Receiver(authority.server("127.0.0.1")).running() as receiver:
        url = f"https://127.0.0.1:{receiver.port}"
        with pytest.raises(Misconfigured, match="certificate"):
            Http("Provider", url, TOKEN).call("POST", "/run", {})
        assert receiver.received == []
        assert Http("Provider", url, TOKEN, tls=authority.client()).call("POST", "/run", {}).body is None
        assert receiver.received[0].headers["authorization"] == f"Bearer {TOKEN}"
