"""A JSONL file: small enough for one body, or to be uploaded."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from async_inference_client.errors import InvalidLines

MAX_ITEMS = 100
MAX_BYTES = 4_000_000
"""Of the inputs in one body, below what the API takes."""

MEDIA_TYPE = "application/jsonl"


@dataclass(frozen=True)
class LinesFile:
    """A file of inputs, one in each line, blank lines not counted.

    Attributes:
        items: the inputs, if one body takes them; None: the file has to be uploaded.
        key: the idempotency key.
    """

    path: Path
    items: list[Any] | None
    key: str


def read_file(path: Path, model: str | None, key: str | None) -> LinesFile:
    """Read a file. Without `key`, the key follows from the content and the model: the same file is the same batch.

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
    fits = len(lines) <= MAX_ITEMS and sum(map(len, lines)) <= MAX_BYTES
    content = json.dumps(model).encode() + b"".join(line.strip() + b"\n" for line in lines)
    return LinesFile(path, values if fits else None, key or hashlib.sha256(content).hexdigest())
