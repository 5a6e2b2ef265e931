"""One conditional update of one record, written once and spoken in DynamoDB's two languages.

A single record goes through `UpdateItem`; a batch through PartiQL's `BatchExecuteStatement` (up to 25 statements, each
with its own condition and its own result). Both are rendered from the same `Update`, so they cannot drift apart.

Conditions name attributes in brackets and values with a colon: `[status] = :pending AND missing[alone]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Value = str | int | bool

_MISSING = re.compile(r"missing\[(\w+)\]")
_NAME = re.compile(r"\[(\w+)\]")
_VALUE = re.compile(r":(\w+)")


def to_attribute(value: Value) -> dict[str, Any]:
    """A DynamoDB attribute value. Results are JSON text, so numbers are integers: boto3's trouble with floats never
    comes up."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value}


def from_attribute(attribute: Mapping[str, Any]) -> Value:
    """The value of an attribute of one of the three types that this package writes."""
    ((kind, value),) = attribute.items()
    return int(value) if kind == "N" else value


@dataclass(frozen=True)
class Update:
    """Set, increment and remove attributes of one record if a condition holds.

    `sets` maps attributes to values; `increments` maps number attributes (which must exist) to what is added;
    `values` are those that `condition` names.
    """

    request_id: str
    condition: str
    sets: Mapping[str, Value] = field(default_factory=dict)
    increments: Mapping[str, int] = field(default_factory=dict)
    removes: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)

    def to_update_item(self, table: str) -> dict[str, Any]:
        """Arguments of `UpdateItem`. The record must exist: an update never creates one."""
        condition = _MISSING.sub(r"attribute_not_exists(#\1)", self.condition)
        condition = "attribute_exists(#request_id) AND " + _grouped(_NAME.sub(r"#\1", condition))
        assignments = [f"#{name} = :set_{name}" for name in self.sets]
        assignments += [f"#{name} = #{name} + :inc_{name}" for name in self.increments]
        expression = "SET " + ", ".join(assignments) if assignments else ""
        if self.removes:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in self.removes)
        values = {f":{name}": to_attribute(self.values[name]) for name in _VALUE.findall(self.condition)}
        values |= {f":set_{name}": to_attribute(value) for name, value in self.sets.items()}
        values |= {f":inc_{name}": to_attribute(value) for name, value in self.increments.items()}
        names = set(re.findall(r"#(\w+)", condition + expression))
        return {
            "TableName": table,
            "Key": {"request_id": {"S": self.request_id}},
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in sorted(names)},
            "ExpressionAttributeValues": values,
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def to_statement(self, table: str) -> dict[str, Any]:
        """One statement of `BatchExecuteStatement`, which returns the record as it stands when it is refused.

        Raises:
            ValueError: the update increments; arithmetic is not among PartiQL's documented operations.
        """
        if self.increments:
            raise ValueError("an update that increments cannot go in a batch")
        statement, names = _statement(table, tuple(self.sets), self.removes, self.condition)
        parameters = [*self.sets.values(), self.request_id, *(self.values[name] for name in names)]
        return {
            "Statement": statement,
            "Parameters": [to_attribute(value) for value in parameters],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


@lru_cache(maxsize=64)  # a worker writes two or three kinds of statement, a thousand times a second
def _statement(
    table: str, sets: tuple[str, ...], removes: tuple[str, ...], condition: str
) -> tuple[str, tuple[str, ...]]:
    """The text of a PartiQL statement, and the names of the condition's values in the order of their places."""
    clauses = [f'SET "{name}" = ?' for name in sets]
    clauses += [f'REMOVE "{name}"' for name in removes]
    translated = _MISSING.sub(r'"\1" IS MISSING', condition)
    translated = _grouped(_VALUE.sub("?", _NAME.sub(r'"\1"', translated)))
    text = f'UPDATE "{table}" {" ".join(clauses)} WHERE "request_id" = ? AND {translated}'
    return text, tuple(_VALUE.findall(condition))


def _grouped(condition: str) -> str:
    """The condition as one group; DynamoDB refuses parentheses around parentheses."""
    depth = 0
    for position, character in enumerate(condition):
        depth += (character == "(") - (character == ")")
        if depth == 0 and position < len(condition) - 1:
            return f"({condition})"
    return condition
