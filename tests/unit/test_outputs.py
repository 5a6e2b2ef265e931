"""What a model returns becomes JSON, or the text names the value that can't and what to return instead."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from worker.model.errors import OutputError
from worker.model.outputs import to_json

CIRCULAR: dict[str, Any] = {"a": {}}
CIRCULAR["a"]["b"] = [CIRCULAR["a"]]


class Tensor:
    """As a framework's: not JSON, but it knows how to become a list."""

    def tolist(self) -> list[float]:
        return [1.0]


@pytest.mark.parametrize(
    "output",
    [{}, {"a": [1, 2.5, None, True, "x", {"b": (1, [])}]}, {"\ud800": "\u20ac"}, {"1": 1, "": 2}],
)
def test_what_is_json_is_written_as_it_is(output: dict[str, Any]) -> None:
    assert json.loads(to_json(output)) == json.loads(json.dumps(output))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1.5], [2.5]], dtype=np.float32), [[1.5], [2.5]]),
        ([np.float16(0.5), {"b": np.uint8(255)}], [0.5, {"b": 255}]),
    ],
    ids=str,
)
def test_numpy_values_are_written_with_the_value_they_have(value: Any, expected: Any) -> None:
    assert json.loads(to_json({"a": value})) == {"a": expected}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"a": 1, "b": b"x"}, "b is of type bytes, which is not JSON; return text, such as base64.b64encode"),
        ({"a": [0, {"b c": {1}}]}, 'a[1]["b c"] is of type set, which is not JSON; return a list'),
        ({"a": object()}, "a is of type object, which is not JSON; return a dict, list"),
        ({"a": Tensor()}, "a is of type tests.unit.test_outputs.Tensor, which is not JSON; return value.tolist()"),
        ({"a": {"score": math.nan}}, "a.score is NaN, which is no JSON number; return a finite number or None"),
        ({"a": [1.0, -math.inf]}, "a[1] is infinite, which"),
        ({"a": np.float32(math.nan)}, "a is NaN, which"),
        ({"a": np.array([1.0, math.nan])}, "a[1] is NaN, which"),
        ({"a": np.array([1j])}, "a[0] is of type complex, which is not JSON; return [value.real, value.imag]"),
        ({"a": np.datetime64("2027-01-01")}, "a is of type datetime.date, which is not JSON"),
        ({"a": np.longdouble(1)}, "a is of type numpy.longdouble, which is not JSON"),
        ({"a": np.array([{1: 2}])}, "a is of type numpy.ndarray, which is not JSON; return value.tolist()"),
        ({"a": 10**5000}, "a is an integer of more than 4300 digits; return text"),
        (CIRCULAR, "a.b[0] contains itself"),
        ({1: "a"}, "the output has the key '1' of type int; keys must be str: use str(key)"),
        ({"a": {"1": 1, 1: 2}}, "a has the key '1' of type int"),
        ({"a": [{}, ({None: 1},)]}, "a[1][0] has the key 'None' of type NoneType"),
        ({"a": {True: 1, "b": math.nan}}, "a has the key 'True' of type bool"),
        ({"a": {(1, 2): 1}}, "a has the key '(1, 2)' of type tuple"),
        ({"a": {np.int64(1): 1}}, "a has the key '1' of type numpy.int64"),
    ],
)
def test_what_is_not_json_is_named_with_its_place_and_what_to_return_instead(output: Any, text: str) -> None:
    with pytest.raises(OutputError) as told:
        to_json(output)
    assert str(told.value).startswith(text)


@pytest.mark.parametrize("levels", [300, 600, 1_200, 100_000])
def test_a_deep_output_is_written_or_rejected_in_words(levels: int) -> None:
    deep: Any = []
    for _ in range(levels):
        deep = [deep]
    try:
        assert to_json({"a": deep}).count("[") == levels + 1
    except OutputError as error:
        assert levels > 300
        assert str(error) == "the output is nested too deep for JSON; return a flatter one"
    with pytest.raises(OutputError, match=r"nested too deep|b is NaN"):
        to_json({"a": deep, "b": math.nan})
