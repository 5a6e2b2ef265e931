"""Inputs and results as JSON: strict, bounded, and the same text on every machine.

Python's parser takes NaN, Infinity and numbers that overflow to infinity; JSON does not, and neither does anybody who
reads the result. Nesting is bounded because a deep value is an attack on the next parser, not an input.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from inference.errors import Refused

MAX_RESULT_BYTES = 350_000
"""A record may have 400 KB (DynamoDB's item limit); the rest of it needs little."""

MAX_MESSAGE_BYTES = 250_000
"""A message may have 256 KiB (the queue's limit); ASCII escapes can make an input six times its size."""


def parse_input(body: bytes, max_bytes: int, max_depth: int) -> Any:
    """Read a request body.

    Raises:
        Refused: 413 too large, 400 not JSON (or not UTF-8, or nested deeper than `max_depth`).
    """
    if len(body) > max_bytes:
        raise too_large(f"The body has {len(body):,} bytes; at most {max_bytes:,} are accepted.")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise _not_json("The body is not UTF-8.") from error
    except RecursionError as error:
        raise _not_json(f"The body is nested deeper than {max_depth} levels.") from error
    except ValueError as error:
        raise _not_json(f"The body is not JSON: {error}.") from error
    if _deeper_than(value, max_depth):
        raise _not_json(f"The body is nested deeper than {max_depth} levels.")
    return value


def too_large(detail: str) -> Refused:
    """413."""
    return Refused(413, "Too large", detail)


def _not_json(detail: str) -> Refused:
    return Refused(400, "Not JSON", detail)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:32]} is too large for a number")
    return value


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True
