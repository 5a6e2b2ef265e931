"""Conditions of a write, as a tree that is rendered for DynamoDB (`expressions.py`) and evaluated by the tests' table.

    And(Eq("status", Status.RUNNING), Or(Missing("lease_until"), Lt("lease_until", Param("now"))))

A comparison has an attribute on its left; on its right a constant, a `Param`, or another attribute. As in DynamoDB, a
comparison with an attribute that the record does not have is false.

Plain classes, because every function imports this module: defining one dataclass takes as long as a dozen of them.
"""

from __future__ import annotations

from typing import ClassVar

Value = str | int | bool


class Param:
    """A value that each call binds, by this name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Attribute:
    """An attribute of the same record, on the right of a comparison."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Comparison:
    """An attribute, an operator, and what it is compared with."""

    __slots__ = ("attribute", "operand")
    operator: ClassVar[str]

    def __init__(self, attribute: str, operand: Value | Param | Attribute) -> None:
        self.attribute = attribute
        self.operand = operand


class Eq(Comparison):
    __slots__ = ()
    operator = "="


class Lt(Comparison):
    __slots__ = ()
    operator = "<"


class Le(Comparison):
    __slots__ = ()
    operator = "<="


class Gt(Comparison):
    __slots__ = ()
    operator = ">"


class Ge(Comparison):
    __slots__ = ()
    operator = ">="


class Missing:
    """The record does not have the attribute; also true where there is no record."""

    __slots__ = ("attribute",)

    def __init__(self, attribute: str) -> None:
        self.attribute = attribute


class Group:
    """Conditions joined by one operator. A part with the same operator is merged: DynamoDB rejects redundant
    parentheses."""

    __slots__ = ("parts",)
    operator: ClassVar[str]
    parts: tuple[Condition, ...]

    def __init__(self, *parts: Condition) -> None:
        flat: list[Condition] = []
        for part in parts:
            flat += part.parts if isinstance(part, Group) and part.operator == self.operator else (part,)
        self.parts = tuple(flat)


class And(Group):
    __slots__ = ()
    operator = "AND"


class Or(Group):
    __slots__ = ()
    operator = "OR"


Condition = Comparison | Missing | Group
