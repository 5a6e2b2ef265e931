"""An output as JSON text; if that is not possible, which value is the cause and what to return instead."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from worker.model.errors import OutputError

MAX_DIGITS = 4300
"""Python's default limit for the digits of an integer as text."""

_CONTAINERS = (dict, list, tuple)
_SCALARS = frozenset({str, int, float, bool, type(None)})

_REMEDIES = {
    bytes: "return text, such as base64.b64encode(value).decode()",
    bytearray: "return text, such as base64.b64encode(value).decode()",
    set: "return a list, such as sorted(value)",
    frozenset: "return a list, such as sorted(value)",
    complex: "return [value.real, value.imag]",
}


def to_json(output: dict[str, Any]) -> str:
    """The output as JSON text. NumPy's scalars and arrays become numbers and lists, with the values they have.

    Raises OutputError, which names the value that is not JSON and what to return instead.
    """
    try:
        try:
            text = _encode(output)
        except (TypeError, ValueError) as error:
            raise OutputError(next(_problems(output, "", ()), f"the output cannot be JSON: {error}")) from error
        if not _every_key_is_text(output):
            raise OutputError(next(_problems(output, "", ())))
    except RecursionError as error:
        raise OutputError("the output is nested too deep for JSON; return a flatter one") from error
    return text


def _plain(value: Any) -> Any:
    """A NumPy value as a Python value. Found by its module's name: a model in plain Python does not import NumPy."""
    if type(value).__module__ == "numpy" and hasattr(value, "dtype") and not value.dtype.hasobject:
        plain = value.tolist()
        if type(plain) is not type(value):  # as a longdouble's is
            return plain
    raise TypeError(f"{_name(type(value))} is not JSON")


_encode = json.JSONEncoder(allow_nan=False, default=_plain).encode  # `dumps` would make an encoder for each output


def _every_key_is_text(output: Any) -> bool:
    """JSON would write the keys 1 and "1" alike, and one of the values would be lost."""
    left = [output] if isinstance(output, _CONTAINERS) else []
    while left:
        value = left.pop()
        inside: Iterable[Any] = value
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    return False
            inside = value.values()
        if not _SCALARS.issuperset(map(type, inside)):  # a vector has hundreds of numbers, and nothing inside them
            left += [inner for inner in inside if isinstance(inner, _CONTAINERS)]
    return True


def _problems(value: Any, path: str, above: tuple[int, ...]) -> Iterator[str]:
    """What is not JSON in a value, each with its place and a remedy."""
    where = path or "the output"
    with suppress(TypeError):
        value = _plain(value)
    match value:
        case None | str():
            return
        case dict() | list() | tuple():
            if id(value) in above:
                yield f"{where} contains itself, which JSON cannot hold; return a copy of its values"
            else:
                yield from _problems_inside(value, path, (*above, id(value)))
        case float():
            if not math.isfinite(value):
                name = "NaN" if math.isnan(value) else "infinite"
                yield f"{where} is {name}, which is no JSON number; return a finite number or None, or raise InputError"
        case int():
            if abs(value) >= 10**MAX_DIGITS:
                yield f"{where} is an integer of more than {MAX_DIGITS} digits; return text: hex(value)"
        case _:
            remedy = _REMEDIES.get(type(value), "return a dict, list, str, int, float, bool or None")
            if hasattr(value, "tolist"):
                remedy = "return value.tolist()"
            yield f"{where} is of type {_name(type(value))}, which is not JSON; {remedy}"


def _problems_inside(
    value: dict[Any, Any] | list[Any] | tuple[Any, ...], path: str, above: tuple[int, ...]
) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str):
                yield from _problems(inner, _below(path, key), above)
            else:
                yield _bad_key(path, key)
    else:
        for index, inner in enumerate(value):
            yield from _problems(inner, f"{path}[{index}]", above)


def _bad_key(path: str, key: Any) -> str:
    where = path or "the output"
    return f"{where} has the key {str(key)[:50]!r} of type {_name(type(key))}; keys must be str: use str(key)"


def _below(path: str, key: str) -> str:
    if key.isidentifier():
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key[:50])}]"


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
