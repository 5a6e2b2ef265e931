"""How the lean client's HTTP reads replies."""

from __future__ import annotations

import io

import pytest

from inference.aws import wire


@pytest.mark.parametrize(
    ("raw", "body", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}rest", b"{}", True),
        (b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\n{}", b"{}", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", False),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", b"{}", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x\r\n}\r\n0\r\nt: 1\r\n\r\n", b"{}", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", True),
    ],
)
def test_reads_replies(raw: bytes, body: bytes, keep: bool) -> None:
    file = io.BytesIO(raw)
    reply, kept = wire._read_reply(file.readline(), file)
    assert (reply.status, reply.body, kept) == (200, body, keep)
    assert file.read() == (b"rest" if raw.endswith(b"rest") else b""), "the next reply begins here"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
)
def test_a_reply_that_ends_too_early_is_an_error(raw: bytes) -> None:
    file = io.BytesIO(raw)
    with pytest.raises(EOFError):
        wire._read_reply(file.readline(), file)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 xyz\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n",
    ],
)
def test_what_is_not_http_is_an_error(raw: bytes) -> None:
    file = io.BytesIO(raw)
    with pytest.raises(ValueError):
        wire._read_reply(file.readline(), file)
