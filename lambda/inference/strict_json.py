"""Inputs as JSON: strict, bounded, and the same text on every machine.

Python's parser accepts NaN, Infinity and numbers that overflow to infinity; JSON does not allow them, and other parsers
reject them. The nesting depth is limited because a very deep value can crash the next parser.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

from inference.errors import NotJson, TooLarge


def parse_input(data: bytes, max_bytes: int, max_depth: int) -> Any:
    """Read an input of at most `max_bytes`, as JSON in UTF-8.

    Raises:
        TooLarge: it has more.
        NotJson: it is not JSON, not UTF-8, or nested deeper than `max_depth`.
    """
    if len(data) > max_bytes:
        detail = f"The input has {len(data):,} bytes; at most {max_bytes:,} are accepted."
        raise TooLarge(f"{detail} Upload a larger one (POST /uploads), and send a reference to it.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"The input is not UTF-8: byte {error.start + 1} can't be read.") from error
    if text.startswith("\ufeff"):
        raise NotJson("The input begins with a byte order mark (BOM); send it without one.")
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    except _NoNumber as error:
        raise NotJson(f"The input is not JSON: {error}.") from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        raise NotJson(f"The input is not JSON: {what}, in line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:  # the one other that the parser raises
        raise NotJson(f"A number in the input has more than {sys.get_int_max_str_digits():,} digits.") from error
    if _is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    return value


class _NoNumber(ValueError):
    """Python reads it as a number, JSON has none such."""


def _too_deep(max_depth: int) -> NotJson:
    return NotJson(f"The input is nested deeper than {max_depth} levels.")


def _no_constant(name: str) -> NoReturn:
    raise _NoNumber(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _NoNumber(f"{text[:32]} is too large for a number")
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
