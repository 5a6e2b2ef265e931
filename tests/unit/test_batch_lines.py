"""The lines of an upload, whatever parts it is read in."""

from __future__ import annotations

import pytest

from inference.batches import lines
from inference.batches.lines import LineReader, TooLongLine


def reader_of(content: bytes, max_line_bytes: int = 8) -> tuple[LineReader, list[tuple[int, int]]]:
    reads: list[tuple[int, int]] = []

    def read(first: int, last: int) -> bytes:
        reads.append((first, last))
        return content[first : last + 1]

    return LineReader(read, len(content), max_line_bytes), reads


def all_lines(content: bytes, most: int, max_line_bytes: int = 8) -> list[bytes]:
    reader, _ = reader_of(content, max_line_bytes)
    found: list[bytes] = []
    start, last = 0, False
    while not last:
        step = reader.lines(start, most)
        assert step.after > start
        assert len(step.lines) <= most
        found += step.lines
        start, last = step.after, step.last
    return found


@pytest.mark.parametrize("most", [1, 2, 100])
@pytest.mark.parametrize("part", [1, 9, 10, 13, 1000])
@pytest.mark.parametrize(
    "content", [b"a", b"a\n", b"a\nbb\n\nccc", b"\n\n", b"12345678\n12345678\n", b"1234567\r\n", b"x\n" * 40]
)
def test_lines_are_the_same_in_any_parts(content: bytes, part: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PART_BYTES", part)
    assert all_lines(content, most) == content.removesuffix(b"\n").split(b"\n")


@pytest.mark.parametrize("end", [b"", b"\n", b"\nb\n"])
def test_a_line_that_is_too_long(end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PART_BYTES", 4)
    reader, reads = reader_of(b"a\n" + b"x" * 9 + end)
    assert reader.lines(0, 10)[:2] == ([b"a"], 2)
    with pytest.raises(TooLongLine):
        reader.lines(2, 10)
    assert all(last - first < 9 for first, last in reads)


def test_a_part_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PART_BYTES", 20)
    reader, reads = reader_of(b"ab\n" * 10)
    start, last = 0, False
    while not last:
        _, start, last = reader.lines(start, 2)
    assert reads == [(0, 19), (18, 29)]
