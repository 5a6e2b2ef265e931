"""Files that an input links to, read by a provider's wrapper: what is followed, and how far."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.errors import InvalidInput
from tests.integration.receivers import Authority, raw_receiver
from tests.providers.json_server import Answer, Asked, JsonServer
from worker.providers.cog_model import with_references
from worker.providers.links import Links


class Files(JsonServer):
    """Answers every GET alike."""

    given = Answer(200, b"\x00content")

    def answer(self, asked: Asked) -> Answer:
        return self.given


@pytest.fixture
def files() -> Iterator[Files]:
    with Files().running() as running:
        yield running


def test_a_link_is_read_with_its_query(files: Files) -> None:
    assert Links(allow_loopback=True)(f"{files.url}/a/b?X-Amz-Signature=abc") == b"\x00content"
    (asked,) = files.asked
    assert (asked.method, asked.path) == ("GET", "/a/b?X-Amz-Signature=abc")
    assert asked.headers["host"] == files.url.removeprefix("http://")


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:9/a",
        "https://127.0.0.1:9/a",
        "https://[::1]/a",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/a",
        "https://0x7f.1/a",
        "https://2130706433/a",
        "http://example.com/a",
        "ftp://example.com/a",
        "file:///etc/passwd",
        "/uploads/abc",
        "https://",
        "https://h:99999/",
        "",
    ],
)
def test_what_is_not_followed(link: str) -> None:
    with pytest.raises(InvalidInput, match=r"not followed|could not be read"):
        Links()(link)


def test_a_name_with_an_address_of_the_network_is_not_followed() -> None:
    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        places = ("93.184.216.34", "10.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port)) for place in places]

    with pytest.raises(InvalidInput, match="not public"):
        Links(resolve=resolve)("https://files.example/a")


@pytest.mark.parametrize("status", [301, 302, 403, 404, 500])
def test_another_status_is_no_file(files: Files, status: int) -> None:
    files.given = Answer(status, b"secret", {"Location": "http://127.0.0.1:9/"})
    with pytest.raises(InvalidInput, match=str(status)) as raised:
        Links(allow_loopback=True)(f"{files.url}/a?X-Amz-Signature=abc")
    assert "abc" not in str(raised.value)
    assert len(files.asked) == 1


def test_a_file_is_read_to_a_bound(files: Files) -> None:
    files.given = Answer(200, b"x" * 1000)
    assert len(Links(allow_loopback=True, max_bytes=1000)(f"{files.url}/a")) == 1000
    with pytest.raises(InvalidInput, match="more than 999 bytes"):
        Links(allow_loopback=True, max_bytes=999)(f"{files.url}/a")


def test_half_a_file_is_no_file() -> None:
    def cut(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    with raw_receiver(cut) as port, pytest.raises(InvalidInput, match="could not be read"):
        Links(allow_loopback=True)(f"http://127.0.0.1:{port}/a")


def test_a_slow_file_ends_in_time() -> None:
    def drips(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x")
        except OSError:
            return

    with raw_receiver(drips) as port, pytest.raises(InvalidInput, match="could not be read"):
        Links(allow_loopback=True, seconds=0.0)(f"http://127.0.0.1:{port}/a")


def test_tls_is_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def serve(connection: socket.socket) -> None:
        try:
            with authority.server("files.example").wrap_socket(connection, server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfile")
        except OSError:
            return

    with raw_receiver(serve) as port, pytest.raises(InvalidInput, match="could not be read"):
        Links(allow_loopback=True, resolve=resolve)(f"https://files.example:{port}/a")
    with raw_receiver(serve) as port:
        links = Links(allow_loopback=True, resolve=resolve, tls=authority.client())
        assert links(f"https://files.example:{port}/a") == b"file"


def test_cogs_files_become_references_and_base64() -> None:
    value = {
        "image": "https://files.example/a",
        "pages": ["data:image/png;base64,AAAA", "BBBB", 5],
        "text": "https://not.a/file",
    }
    assert with_references(value, {"image": "bytes", "pages[]": "path"}) == {
        "image": {"$ref": "https://files.example/a"},
        "pages": ["AAAA", "BBBB", 5],
        "text": "https://not.a/file",
    }
