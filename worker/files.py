"""The files of inputs while a model predicts: temporary files, and streams that read an object in parts."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from inference.errors import Unavailable
from inference.sources import Pin
from inference.store.payloads import Bucket, StoredObject

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


class ObjectFile:
    """An object in S3 as the file of an input; `pin`: the content that it must have.

    Reading raises Unavailable when S3 does not answer, FileNotFoundError when the object is not there any more, and
    ObjectChanged when it is not the pinned one.
    """

    def __init__(self, bucket: Bucket, key: str, pin: Pin | None = None) -> None:
        self._bucket = bucket
        self._key = key
        self._pin = pin

    def size(self) -> int:
        """In bytes. An empty object counts as one that is not there."""
        return self._get(0, 0).bytes

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`."""
        content = self._get(start, end - 1).content
        if len(content) != end - start:
            raise Unavailable(f"S3 sent {len(content)} bytes of {self._key} instead of {end - start}")
        return content

    def _get(self, first: int, last: int) -> StoredObject:
        found = self._bucket.get(self._key, first, last, self._pin)
        if found is None:
            raise FileNotFoundError(2, "the object was deleted")
        return found


def stream(file: ObjectFile, size: int) -> io.BufferedReader:
    """An object as a stream that can seek. Reading raises as `ObjectFile`."""
    return io.BufferedReader(ObjectStream(file, size), STREAM_BYTES)


class ObjectStream(io.RawIOBase):
    """An object as a raw stream: each read is a ranged read of S3. It raises as `ObjectFile`."""

    def __init__(self, file: ObjectFile, size: int) -> None:
        super().__init__()
        self._file = file
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
        content = self._file.part(self._at, self._at + wanted)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def download(source: ObjectFile, size: int, path: Path) -> Path:
    """Write an object to a file, in parts, several at a time. Raises as `ObjectFile`, and OSError."""
    with path.open("wb") as file:

        def fetch(start: int) -> None:
            view = memoryview(source.part(start, min(start + PART_BYTES, size)))
            while view:  # when the disk is nearly full, a write may write less
                written = os.pwrite(file.fileno(), view, start)
                view, start = view[written:], start + written

        _in_parts(size, fetch)
    return path


def read_all(source: ObjectFile, size: int) -> bytes:
    """The content of an object, read as `download` does."""
    content = bytearray(size)

    def fetch(start: int) -> None:
        end = min(start + PART_BYTES, size)
        content[start:end] = source.part(start, end)

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
