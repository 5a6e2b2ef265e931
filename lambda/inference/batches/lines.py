"""The lines of an upload, read in parts: a file of a gigabyte takes no more memory than its longest line."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

PART_BYTES = 4_000_000
"""Of one read, unless a line may be longer."""


class TooLongLine(Exception):
    """A line has more bytes than are accepted."""


class Lines(NamedTuple):
    """Some lines in a row, without their ends; `after` is the byte where the next one begins, `last`: there is none."""

    lines: list[bytes]
    after: int
    last: bool


class LineReader:
    """Reads an object's lines. The object does not change: an upload is made once.

    Args:
        read: reads the bytes from a first to a last one, inclusive.
        size: of the object in bytes.
        max_line_bytes: of one line, without its end.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int, max_line_bytes: int) -> None:
        self._read = read
        self._size = size
        self._max_line_bytes = max_line_bytes
        self._start = 0
        self._part = b""

    def lines(self, start: int, most: int) -> Lines:
        """At most so many lines from a byte on at which one begins; fewer at the end of a part.

        Raises:
            TooLongLine: the first line is too long.
        """
        found: list[bytes] = []
        while len(found) < most and start < self._size:
            line, end = self._line(start, fetch=not found)
            if line is None:
                break
            if len(line) > self._max_line_bytes:
                if found:
                    break  # which the next call tells
                raise TooLongLine
            found.append(line)
            start = end
        return Lines(found, start, start >= self._size)

    def _line(self, start: int, fetch: bool) -> tuple[bytes | None, int]:
        """A line and the byte after its end; None: it is not wholly in the part that is here, and is not fetched."""
        for _ in range(2):
            at = start - self._start
            end = self._part.find(b"\n", at) if 0 <= at < len(self._part) else -1
            if end >= 0:
                return self._part[at:end], self._start + end + 1
            if 0 <= at < len(self._part) and (
                self._start + len(self._part) >= self._size or len(self._part) - at > self._max_line_bytes
            ):
                return self._part[at:], self._start + len(self._part)
            if not fetch:
                break
            last = min(start + max(PART_BYTES, self._max_line_bytes + 1), self._size) - 1
            self._start, self._part = start, self._read(start, last)
        return None, start
