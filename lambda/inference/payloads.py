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


def parse_input(body: bytes, max_bytes: int, max_depth: int, max_text: int) -> Any:
    """Read a request body of at most `max_bytes`.

    Raises:
        Refused: 413 too large (or a text in it has more than `max_text` characters), 400 not JSON (or not UTF-8, or
            nested deeper than `max_depth`).
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
    depth, longest = _measure(value, max_depth)
    if depth > max_depth:
        raise _not_json(f"The body is nested deeper than {max_depth} levels.")
    if longest > max_text:
        raise too_large(f"A text in the body has {longest:,} characters; at most {max_text:,} are accepted.")
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


def _measure(value: Any, max_depth: int) -> tuple[int, int]:
    """Depth (no further than one past `max_depth`) and the characters of the longest text, keys included."""
    depth, longest, level = 0, 0, [value]
    while level and depth <= max_depth:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                longest = max(longest, len(item))
            elif isinstance(item, dict):
                longest = max(longest, *map(len, item), 0)
                below += item.values()
            elif isinstance(item, list):
                below += item
        level = below
        depth += bool(level)
    return depth, longest
