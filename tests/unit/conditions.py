"""Conditions of transitions, evaluated in memory from the tree itself and not through either of its renderings."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from inference.conditions import And, Attribute, Comparison, Condition, Group, Missing, Or, Param, Value

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def plain(value: Value) -> Value:
    """A value as the table holds it: a status is its text."""
    return str(value) if isinstance(value, str) else value


def holds(condition: Condition, item: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    """Whether a condition holds for an item. As in DynamoDB, a comparison with a missing attribute is false."""
    match condition:
        case And(parts=parts):
            return all(holds(part, item, values) for part in parts)
        case Or(parts=parts):
            return any(holds(part, item, values) for part in parts)
        case Missing(attribute=name):
            return name not in item
        case Comparison(attribute=name, operand=operand):
            left = item.get(name)
            right = item.get(operand.name) if isinstance(operand, Attribute) else bound(operand, values)
            same = left is not None and type(left) is type(right)
            return same and _COMPARE[condition.operator](left, right)
    raise TypeError(condition)


def bound(value: Value | Param, values: Mapping[str, Value]) -> Value:
    """A constant, or the value that a call binds."""
    return plain(values[value.name] if isinstance(value, Param) else value)


def params_of(condition: Condition) -> set[str]:
    """The names that a call has to bind for a condition."""
    if isinstance(condition, Group):
        return set().union(*map(params_of, condition.parts))
    if isinstance(condition, Comparison) and isinstance(condition.operand, Param):
        return {condition.operand.name}
    return set()
