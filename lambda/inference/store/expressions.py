"""Renders conditions and transitions in DynamoDB's two languages: expressions and PartiQL.

A single record goes through `UpdateItem`; a batch through PartiQL's `BatchExecuteStatement` (up to 25 statements, each
with its own condition and its own result). Both are rendered from the same `Transition`, so they can't differ; once per
process, on first use. A call only binds its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from inference.conditions import Attribute, Condition, Group, Missing, Param, Value
from inference.transitions import Increment, Transition, Update


def to_attribute(value: Value) -> dict[str, Any]:
    """A DynamoDB attribute value. All numbers are integers, since results are stored as JSON text: boto3 does not
    accept floats."""
    if type(value) is str:  # most are
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value}


def from_attribute(attribute: Mapping[str, Any]) -> Value:
    """The value of an attribute of one of the three types that this package writes."""
    ((kind, value),) = attribute.items()
    return int(value) if kind == "N" else value


def to_update_item(update: Update, table: str) -> dict[str, Any]:
    """Arguments of `UpdateItem`. The record must exist: an update never creates one."""
    arguments, writer = _update_item(update.transition)
    return {
        "TableName": table,
        "Key": {"request_id": {"S": update.request_id}},
        **arguments,
        "ExpressionAttributeValues": writer.bind(update.values),
    }


def to_statement(update: Update, table: str) -> dict[str, Any]:
    """One statement of `BatchExecuteStatement`; if its condition fails, the current record is returned.

    Raises:
        ValueError: the transition increments; arithmetic is not among PartiQL's documented operations.
    """
    text, parameters = _statement(update.transition, table)
    values = {**update.values, "request_id": update.request_id}
    return {
        "Statement": text,
        "Parameters": [to_attribute(values[place]) if type(place) is str else place for place in parameters],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def to_insert(item: Mapping[str, Any], table: str) -> dict[str, Any]:
    """One statement of `BatchExecuteStatement` that writes a new item; it fails if there is one with the same key."""
    members = ", ".join(f"'{name}': ?" for name in item)
    return {"Statement": f'INSERT INTO "{table}" VALUE {{{members}}}', "Parameters": list(item.values())}


def condition_arguments(condition: Condition, values: Mapping[str, Value]) -> dict[str, Any]:
    """The arguments that make `PutItem` or `DeleteItem` depend on a condition."""
    text, writer = _condition(condition)
    return {
        "ConditionExpression": text,
        "ExpressionAttributeNames": writer.names,
        "ExpressionAttributeValues": writer.bind(values),
    }


@cache
def _condition(condition: Condition) -> tuple[str, _Expression]:
    writer = _Expression()
    return writer.condition(condition), writer


@cache
def _update_item(transition: Transition) -> tuple[dict[str, Any], _Expression]:
    writer = _Expression()
    condition = f"attribute_exists({writer.attribute('request_id')}) AND {writer.condition(transition.condition)}"
    assignments = [f"{writer.attribute(name)} = {writer.assigned(name, to)}" for name, to in transition.sets.items()]
    clauses = ["SET " + ", ".join(assignments)] if assignments else []
    if transition.removes:
        clauses.append("REMOVE " + ", ".join(map(writer.attribute, transition.removes)))
    arguments = {
        "UpdateExpression": " ".join(clauses),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": writer.names,
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return arguments, writer


@cache
def _statement(transition: Transition, table: str) -> tuple[str, list[str | dict[str, Any]]]:
    """The text of a statement, and its parameters: a value's name, or a constant."""
    if not transition.in_batches:
        raise ValueError("a transition that increments cannot go in a batch")
    writer = _PartiQL()
    clauses = [f"SET {writer.attribute(name)} = {writer.assigned(name, to)}" for name, to in transition.sets.items()]
    clauses += [f"REMOVE {writer.attribute(name)}" for name in transition.removes]
    key = f"{writer.attribute('request_id')} = {writer.value('request_id', Param('request_id'))}"
    where = f"{key} AND {writer.condition(transition.condition)}"
    return f'UPDATE "{table}" {" ".join(clauses)} WHERE {where}', writer.parameters


class _Writer:
    """Writes conditions and assignments; the languages differ in how they name attributes and values."""

    def attribute(self, name: str) -> str:
        raise NotImplementedError

    def missing(self, name: str) -> str:
        raise NotImplementedError

    def value(self, attribute: str, value: Value | Param) -> str:
        raise NotImplementedError

    def condition(self, condition: Condition) -> str:
        if isinstance(condition, Group):
            parts = [
                f"({self.condition(part)})" if isinstance(part, Group) else self.condition(part)
                for part in condition.parts
            ]
            return f" {condition.operator} ".join(parts)
        if isinstance(condition, Missing):
            return self.missing(condition.attribute)
        operand = condition.operand
        right = (
            self.attribute(operand.name) if isinstance(operand, Attribute) else self.value(condition.attribute, operand)
        )
        return f"{self.attribute(condition.attribute)} {condition.operator} {right}"

    def assigned(self, attribute: str, to: Value | Param | Increment) -> str:
        if isinstance(to, Increment):
            return f"{self.attribute(attribute)} + {self.value('added', 1)}"
        return self.value(attribute, to)


class _Expression(_Writer):
    """`#status = :status_running`: placeholders for names and values, because many names are reserved words."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._constants: dict[str, dict[str, Any]] = {}
        self._params: dict[str, str] = {}

    def attribute(self, name: str) -> str:
        self.names[f"#{name}"] = name
        return f"#{name}"

    def missing(self, name: str) -> str:
        return f"attribute_not_exists({self.attribute(name)})"

    def value(self, attribute: str, value: Value | Param) -> str:
        if isinstance(value, Param):
            self._params[f":{value.name}"] = value.name
            return f":{value.name}"
        placeholder = f":{attribute}_{value}"
        self._constants[placeholder] = to_attribute(value)
        return placeholder

    def bind(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """The values of all placeholders in one call."""
        bound = {placeholder: to_attribute(values[name]) for placeholder, name in self._params.items()}
        return {**self._constants, **bound}


class _PartiQL(_Writer):
    """`"status" = ?`: a value that is used twice is bound twice."""

    def __init__(self) -> None:
        self.parameters: list[str | dict[str, Any]] = []

    def attribute(self, name: str) -> str:
        return f'"{name}"'

    def missing(self, name: str) -> str:
        return f'"{name}" IS MISSING'

    def value(self, attribute: str, value: Value | Param) -> str:
        self.parameters.append(value.name if isinstance(value, Param) else to_attribute(value))
        return "?"
