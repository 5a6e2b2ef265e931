"""A JSONL file as batches that each call of the API takes, always the same ones for the same file."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from async_inference_client.errors import InvalidLines

MAX_ITEMS = 100
MAX_BYTES = 4_000_000
"""Of the inputs of one batch, below what the API takes in one body."""


@dataclass(frozen=True)
class Chunk:
    """Some lines of a file, as one batch: the number of the first one, from 0, blank lines not counted; the inputs; and
    the idempotency key."""

    first: int
    items: list[Any]
    key: str


def chunks_of(path: Path, model: str | None, key: str | None) -> list[Chunk]:
    """Read a file. Without `key`, the keys follow from the content and the model: the same file is the same batches.

    Raises:
        InvalidLines: lines are not JSON; nothing was sent.
    """
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    values: list[Any] = []
    errors: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        try:
            values.append(json.loads(line))
        except ValueError as error:
            errors.append((number, str(error)))
    if errors or not lines:
        raise InvalidLines(errors)
    name = (
        key or hashlib.sha256(json.dumps(model).encode() + b"".join(line.strip() + b"\n" for line in lines)).hexdigest()
    )
    return [Chunk(start, values[start:end], f"{name}/{start}") for start, end in _ranges([len(line) for line in lines])]


def _ranges(sizes: list[int]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for end, each in enumerate(sizes):
        if end > start and (end - start == MAX_ITEMS or size + each > MAX_BYTES):
            yield start, end
            start, size = end, 0
        size += each
    yield start, len(sizes)
