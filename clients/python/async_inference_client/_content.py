"""What is uploaded, in parts and with a known size; and where a download is written."""

import io
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

PART_BYTES = 2**18

Uploadable = bytes | bytearray | str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True, slots=True)
class Content:
    """What an upload sends.

    Attributes:
        size: in bytes.
        parts: gives the content from its beginning, for each try again.
    """

    size: int
    parts: Callable[[], Iterator[bytes]]


def content_of(source: Uploadable) -> Content:
    """The content of bytes, of the file at a path, or of an open file from its position to its end.

    Raises:
        TypeError: a file that is open in text mode.
        ValueError: a file that can't be read again, such as a pipe.
        OSError: there is no file at this path.
    """
    if isinstance(source, bytes | bytearray):
        held = bytes(source)
        return Content(len(held), lambda: _parts(io.BytesIO(held), len(held)))
    if isinstance(source, str | os.PathLike):
        path, size = Path(source), Path(source).stat().st_size
        return Content(size, lambda: _parts_of_path(path, size))
    if isinstance(source.read(0), str):
        raise TypeError("the file is open in text mode: open it in binary mode")
    if not source.seekable():
        raise ValueError("the file's size is not known, since it is not seekable: upload what it returns as bytes")
    file, begin = source, source.tell()
    size = file.seek(0, os.SEEK_END) - begin

    def parts() -> Iterator[bytes]:
        file.seek(begin)
        return _parts(file, size)

    return Content(size, parts)


def _parts_of_path(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _parts(file, size)


def _parts(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Never more than the size, as of a file that grows."""
    while size > 0 and (part := file.read(min(PART_BYTES, size))):
        size -= len(part)
        yield part


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` at the end, unless there is an exception."""
    written = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with written.open("xb") as file:
            yield file
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def from_the_beginning(file: BinaryIO) -> Callable[[bytes], Any]:
    """Empty a file, and return what writes to it."""
    file.seek(0)
    file.truncate()
    return file.write
