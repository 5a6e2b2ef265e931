"""The files of inputs while a model predicts: temporary files, and streams that read an object in parts."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from inference.errors import Unavailable
from inference.store.payloads import Bucket

PART_BYTES = 8 * 2**20
STREAM_BYTES = 2**20
"""What a stream reads ahead: readers of lines or records take a few bytes at a time, and each read of S3 has its price
and its latency."""

CONNECTIONS = 4
"""One connection to S3 carries less than Lambda's network does."""

_Stream = TypeVar("_Stream", bound=IO[bytes])


class OpenFiles:
    """The files of a batch. They are closed and deleted at the end."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._streams: list[IO[bytes]] = []
        self._paths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.close()
        if self._folder is not None:
            self._folder.cleanup()

    def new_path(self) -> Path:
        """Where a file can be written; the folder is made with the first one."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="inputs-", ignore_cleanup_errors=True)
        self._paths += 1
        return Path(self._folder.name) / str(self._paths)

    def keep(self, stream: _Stream) -> _Stream:
        """Close this stream at the end."""
        self._streams.append(stream)
        return stream

    def rewinding(self, predict: Callable[[list[Any]], Sequence[Any]]) -> Callable[[list[Any]], Sequence[Any]]:
        """A `predict` that gets each stream from its beginning: a batch that fails is predicted again in parts."""
        if not self._streams:
            return predict

        def rewound(inputs: list[Any]) -> Sequence[Any]:
            for stream in self._streams:
                if not stream.closed:
                    stream.seek(0)
            return predict(inputs)

        return rewound


def stream(bucket: Bucket, key: str, size: int) -> io.BufferedReader:
    """An object as a stream that can seek. Reading raises as `UploadStream`."""
    return io.BufferedReader(UploadStream(bucket, key, size), STREAM_BYTES)


class UploadStream(io.RawIOBase):
    """An object as a raw stream: each read is a ranged read of S3.

    Reading raises Unavailable when S3 does not answer, and OSError when the object is not there any more.
    """

    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._key = key
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        content = _part(self._bucket, self._key, self._at, self._at + wanted)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def download(bucket: Bucket, key: str, size: int, path: Path) -> Path:
    """Write an object to a file, in parts, several at a time. Raises Unavailable and OSError."""
    with path.open("wb") as file:

        def fetch(start: int) -> None:
            view = memoryview(_part(bucket, key, start, min(start + PART_BYTES, size)))
            while view:  # when the disk is nearly full, a write may write less
                written = os.pwrite(file.fileno(), view, start)
                view, start = view[written:], start + written

        _in_parts(size, fetch)
    return path


def read_all(bucket: Bucket, key: str, size: int) -> bytes:
    """The content of an object, read as `download` does."""
    content = bytearray(size)

    def fetch(start: int) -> None:
        end = min(start + PART_BYTES, size)
        content[start:end] = _part(bucket, key, start, end)

    _in_parts(size, fetch)
    return bytes(content)


def _in_parts(size: int, fetch: Callable[[int], None]) -> None:
    if size <= PART_BYTES:
        fetch(0)
        return
    from concurrent.futures import ThreadPoolExecutor  # imported only when needed

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(fetch, range(0, size, PART_BYTES)):
            pass


def _part(bucket: Bucket, key: str, start: int, end: int) -> bytes:
    """The bytes from `start` up to `end`."""
    found = bucket.get(key, start, end - 1)
    if found is None:
        raise FileNotFoundError(2, "the upload was erased")
    if len(found.content) != end - start:
        raise Unavailable(f"S3 sent {len(found.content)} bytes of {key} instead of {end - start}")
    return found.content
