"""Inputs and results as JSON: strict, bounded, and the same text on every machine.

Python's parser takes NaN, Infinity and numbers that overflow to infinity; JSON does not, and neither does anybody who
reads the result. Nesting is bounded because a deep value is an attack on the next parser, not an input.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

from inference.errors import Refused

MAX_RESULT_BYTES = 350_000
"""A record may have 400 KB (DynamoDB's item limit); the rest of it needs little."""

MAX_MESSAGE_BYTES = 250_000
"""A message may have 256 KiB (the queue's limit); ASCII escapes can make an input six times its size."""


def parse_input(body: bytes, max_bytes: int, max_depth: int) -> Any:
    """Read a request body of at most `max_bytes`.

    Raises:
        Refused: 413 too large, 400 not JSON (or not UTF-8, or nested deeper than `max_depth`).
    """
    if len(body) > max_bytes:
        raise too_large(f"The body has {len(body):,} bytes; at most {max_bytes:,} are accepted.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"The body is not UTF-8: byte {error.start + 1} can't be read.") from error
    if text.startswith("\ufeff"):
        raise _not_json("The body begins with a byte order mark (BOM); send it without one.")
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    except _NotJson as error:
        raise _not_json(f"The body is not JSON: {error}.") from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        raise _not_json(f"The body is not JSON: {what}, in line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:  # the one other that the parser raises
        raise _not_json(f"A number in the body has more than {sys.get_int_max_str_digits():,} digits.") from error
    if _is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    return value


def too_large(detail: str) -> Refused:
    """413, and what to do about it."""
    remedy = (
        "A larger input goes to S3, with its key as the input; the model's setting read_buckets lets it read there."
    )
    return Refused(413, "Too large", f"{detail} {remedy}")


class _NotJson(ValueError):
    pass


def _not_json(detail: str) -> Refused:
    return Refused(400, "Not JSON", detail)


def _too_deep(max_depth: int) -> Refused:
    return _not_json(f"The body is nested deeper than {max_depth} levels.")


def _no_constant(name: str) -> NoReturn:
    raise _NotJson(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _NotJson(f"{text[:32]} is too large for a number")
    return value


def _is_deeper(value: Any, max_depth: int) -> bool:
    depth, level = 0, [value]
    while level and depth <= max_depth:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
        level = below
        depth += bool(level)
    return depth > max_depth
