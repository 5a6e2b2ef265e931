"""What is sent to a receiver, over real connections, and what is not sent at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from inference.webhooks.retries import Answer
from inference.webhooks.sender import USER_AGENT, Sender
from tests.integration.receivers import Authority, Receiver, raw_receiver

HOST = "hooks.example"
BODY = b'{"request_id": "a1", "text": "\\u00fc"}'
HEADERS = {"webhook-id": "a1_5"}


class Names:
    """A resolver that knows one address for every name, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses or ("127.0.0.1",)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def local(**settings: Any) -> Sender:
    return Sender(allow_loopback=True, **{"resolve": Names(), "seconds": 5} | settings)


def bare(answer: Answer) -> Answer:
    """Without its duration."""
    return answer._replace(duration_ms=0)


def test_what_arrives(receiver: Receiver) -> None:
    answer = local().post(f"http://{HOST}:{receiver.port}/a/b?c=d%20e", HEADERS, BODY)
    assert bare(answer) == Answer(status=200)
    (received,) = receiver.received
    assert (received.path, received.body) == ("/a/b?c=d%20e", BODY)
    expected = {
        "host": f"{HOST}:{receiver.port}",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "user-agent": USER_AGENT,
        "webhook-id": "a1_5",
        "connection": "close",
    }
    assert {name: received.headers.get(name) for name in expected} == expected


def test_a_url_without_a_path(receiver: Receiver) -> None:
    local().post(f"http://{HOST}:{receiver.port}?a=b", HEADERS, BODY)
    assert receiver.received[0].path == "/?a=b"


@pytest.mark.parametrize("status", [204, 400, 410, 500, 503])
def test_each_status_is_told(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: (status, {})
    assert local().post(f"http://{HOST}:{receiver.port}/", HEADERS, BODY).status == status


def test_retry_after_is_told(receiver: Receiver) -> None:
    receiver.answer = lambda _: (429, {"Retry-After": "17"})
    assert bare(local().post(f"http://{HOST}:{receiver.port}/", HEADERS, BODY)) == Answer(status=429, retry_after="17")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: (status, {"Location": f"http://{HOST}:{receiver.port}/elsewhere"})
    assert local().post(f"http://{HOST}:{receiver.port}/", HEADERS, BODY).status == status
    assert [received.path for received in receiver.received] == ["/"]


def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert local().post(f"http://{HOST}:{receiver.port}/", HEADERS, BODY).status == 200


# Addresses


def test_loopback_is_refused_by_default(receiver: Receiver) -> None:
    """Nothing is connected to; the text does not say what the address is."""
    for url in (f"https://{HOST}:{receiver.port}/", f"http://{HOST}:{receiver.port}/"):
        answer = Sender(resolve=Names()).post(url, HEADERS, BODY)
        assert bare(answer) == Answer(error=f"{HOST} has an address that is not public", refused=True)
    assert receiver.received == []


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "192.168.0.1", "100.100.100.200"])
def test_the_variable_for_tests_allows_loopback_alone(address: str) -> None:
    answer = local(resolve=Names("127.0.0.1", address)).post(f"http://{HOST}:9/", HEADERS, BODY)
    assert answer.refused


def test_without_tls_nothing_leaves_this_machine() -> None:
    answer = local(resolve=Names("93.184.216.34")).post(f"http://{HOST}/", HEADERS, BODY)
    assert bare(answer) == Answer(error="only this machine is called without TLS", refused=True)


def test_a_name_is_resolved_once(receiver: Receiver) -> None:
    """Else the second answer, which nobody checked, could be the one that is connected to."""
    names = Names()
    local(resolve=names).post(f"http://{HOST}:{receiver.port}/", HEADERS, BODY)
    assert names.asked == [HOST]


def test_the_next_address_is_tried_when_one_does_not_accept(receiver: Receiver) -> None:
    """127.0.0.2 is of this machine, and nothing listens there."""
    names = Names("127.0.0.1", "127.0.0.1")
    real = names.__call__

    def first_closed(host: str, port: int, **arguments: Any) -> list[tuple[Any, ...]]:
        found = real(host, port, **arguments)
        with socket.create_server(("127.0.0.1", 0)) as unused:
            closed = unused.getsockname()[1]
        return [(*found[0][:4], ("127.0.0.1", closed)), found[1]]

    assert local(resolve=first_closed).post(f"http://{HOST}:{receiver.port}/", HEADERS, BODY).status == 200


# Receivers that do not answer as they should


def test_a_name_that_is_not_known() -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    answer = local(resolve=unknown).post(f"https://{HOST}/", HEADERS, BODY)
    assert bare(answer) == Answer(error="the host's name could not be resolved")


def test_a_port_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    answer = local().post(f"http://{HOST}:{port}/", HEADERS, BODY)
    assert bare(answer) == Answer(error="no connection could be made")


@pytest.mark.parametrize(
    "reply", [b"", b"hello\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n"]
)
def test_what_is_no_http(reply: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        with suppress(OSError):
            connection.sendall(reply)

    with raw_receiver(serve) as port:
        answer = local().post(f"http://{HOST}:{port}/", HEADERS, BODY)
    assert answer.status is None
    assert (answer.error or "").startswith("the connection failed or the answer was not HTTP: ")


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "a byte now and then"])
def test_a_receiver_that_does_not_end_its_answer(drip: bool) -> None:
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            if drip:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ended.wait(0.1):
                if drip:
                    connection.sendall(b"x")

    with raw_receiver(serve) as port:
        start = time.monotonic()
        answer = local(seconds=0.8).post(f"http://{HOST}:{port}/", HEADERS, BODY)
        took = time.monotonic() - start
        ended.set()
    assert bare(answer) == Answer(error="no answer within 0.8 seconds")
    assert 0.7 <= took < 3
    assert answer.duration_ms >= 700


def test_a_body_without_end_is_not_read() -> None:
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not ended.is_set():
                connection.sendall(b"x" * 65_536)

    with raw_receiver(serve) as port:
        answer = local().post(f"http://{HOST}:{port}/", HEADERS, BODY)
        ended.set()
    assert answer.status == 200


# TLS


def post_by_tls(server: Receiver, authority: Authority, host: str = HOST) -> Answer:
    return local(tls=authority.client()).post(f"https://{host}:{server.port}/", HEADERS, BODY)


def test_by_tls(authority: Authority) -> None:
    with Receiver(authority.server(HOST)).running() as server:
        assert post_by_tls(server, authority).status == 200
        assert server.received[0].headers["host"] == f"{HOST}:{server.port}"


@pytest.mark.parametrize(("certified", "days"), [("other.example", 1), (HOST, -1)], ids=["another host's", "expired"])
def test_a_certificate_that_is_not_valid(authority: Authority, certified: str, days: int) -> None:
    with Receiver(authority.server(certified, days)).running() as server:
        answer = post_by_tls(server, authority)
    assert (answer.error or "").startswith("the receiver's certificate is not valid: ")
    assert server.received == []


def test_a_certificate_of_an_unknown_authority(authority: Authority) -> None:
    with Receiver(authority.server(HOST)).running() as server:
        answer = local().post(f"https://{HOST}:{server.port}/", HEADERS, BODY)
    assert (answer.error or "").startswith("the receiver's certificate is not valid: ")
    assert server.received == []


def test_a_receiver_without_tls(receiver: Receiver) -> None:
    answer = local().post(f"https://{HOST}:{receiver.port}/", HEADERS, BODY)
    assert answer.status is None
    assert answer.error
    assert receiver.received == []


def test_a_silent_receiver_by_tls(tmp_path: Path) -> None:
    ended = threading.Event()
    with raw_receiver(lambda _: ended.wait(10)) as port:
        answer = local(seconds=0.5).post(f"https://{HOST}:{port}/", HEADERS, BODY)
        ended.set()
    assert bare(answer) == Answer(error="no answer within 0.5 seconds")
