"""The conditions of `Update`, evaluated from their own language and not through either of its renderings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from inference.expressions import Value

_TOKEN = re.compile(r"\s*(missing\[\w+\]|\[\w+\]|:\w+|AND\b|OR\b|<=|>=|=|<|>|\(|\))")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def plain(value: Value) -> Value:
    """A value as the table holds it: a status is its text."""
    return str(value) if isinstance(value, str) else value


def tokens_of(condition: str) -> list[str]:
    """The tokens of a condition.

    Raises:
        ValueError: it has something else in it.
    """
    found, at = [], 0
    while at < len(condition.rstrip()):
        match = _TOKEN.match(condition, at)
        if match is None:
            raise ValueError(f"not a condition from here: {condition[at:]!r}")
        found.append(match[1])
        at = match.end()
    return found


def holds(condition: str, item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    """Whether a condition holds for an item. As in DynamoDB, a comparison with a missing attribute is false."""
    tokens = tokens_of(condition)
    result = _either(tokens, item, values)
    if tokens:
        raise ValueError(f"left over: {tokens}")
    return result


def _either(tokens: list[str], item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    result = _both(tokens, item, values)
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        result = _both(tokens, item, values) or result
    return result


def _both(tokens: list[str], item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    result = _one(tokens, item, values)
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        result = _one(tokens, item, values) and result
    return result


def _one(tokens: list[str], item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    token = tokens.pop(0)
    if token == "(":
        result = _either(tokens, item, values)
        assert tokens.pop(0) == ")"
        return result
    if token.startswith("missing"):
        return token[8:-1] not in item
    left, compare, right = (token, tokens.pop(0), tokens.pop(0))
    operands = [item.get(name[1:-1]) if name[0] == "[" else plain(values[name[1:]]) for name in (left, right)]
    if None in operands or type(operands[0]) is not type(operands[1]):
        return False
    return _COMPARE[compare](*operands)
