"""One forward pass; when it fails, the bad input is found and the others are predicted."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.requests import ErrorCode
from worker.isolation import Failed, Outcome, Succeeded, classify, predict_isolated
from worker.model.errors import ArtifactError, InputError, NotLoadedError, OutputError


class Passes:
    """A model that doubles numbers and fails on bad ones, each with its own error; counts its passes."""

    def __init__(self, bad: dict[int, BaseException] | None = None) -> None:
        self.bad = bad or {}
        self.sizes: list[int] = []
        self.told: list[tuple[str, int]] = []

    def predict(self, inputs: list[Any]) -> list[Any]:
        self.sizes.append(len(inputs))
        for value in inputs:
            if value in self.bad:
                raise self.bad[value]
        return [value * 2 for value in inputs]

    def run(self, inputs: list[int]) -> list[Outcome]:
        return predict_isolated(self.predict, inputs, lambda error, n: self.told.append((type(error).__name__, n)))


def test_a_good_batch_is_one_pass() -> None:
    passes = Passes()
    assert passes.run([1, 2, 3]) == [Succeeded("2"), Succeeded("4"), Succeeded("6")]
    assert (passes.sizes, passes.told) == ([3], [])


ERRORS = [ValueError("bad"), MemoryError(), SystemExit(1), InputError("no"), RecursionError(), OutputError("odd")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("position", range(10))
def test_one_bad_input_hurts_only_itself(position: int, error: BaseException) -> None:
    passes = Passes({position: error})
    outcomes = passes.run(list(range(10)))
    assert outcomes[position] == classify(error)
    assert [outcome for index, outcome in enumerate(outcomes) if index != position] == [
        Succeeded(str(value * 2)) for value in range(10) if value != position
    ]
    assert len(passes.sizes) <= 2 * math.ceil(math.log2(10)) + 1
    assert passes.told[0] == (type(error).__name__, 10)
    assert passes.told[-1] == (type(error).__name__, 1)


def test_a_model_that_does_not_load_is_not_asked_for_each_input() -> None:
    error = NotLoadedError("no weights")
    passes = Passes({0: error})
    assert passes.run([0, 1, 2]) == [classify(error)] * 3
    assert passes.sizes == [3]
    assert classify(error) == Failed(ErrorCode.MODEL_NOT_LOADED, "no weights", retryable=True)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_any_mixture(badness: list[bool]) -> None:
    passes = Passes({index: ValueError("bad") for index, bad in enumerate(badness) if bad})
    outcomes = passes.run(list(range(len(badness))))
    assert [isinstance(outcome, Failed) for outcome in outcomes] == badness
    assert len(passes.sizes) <= 2 * len(badness) - 1
    assert len(passes.sizes) <= 1 + 2 * sum(badness) * math.ceil(math.log2(max(len(badness), 2)))


def test_an_input_error_in_place_costs_no_further_pass() -> None:
    sizes = []

    def predict(inputs: list[int]) -> list[Any]:
        sizes.append(len(inputs))
        return [InputError("odd") if value % 2 else {"value": value} for value in inputs]

    outcomes = predict_isolated(predict, [1, 2, 3], lambda *_: pytest.fail("no pass failed"))
    odd = Failed(ErrorCode.INVALID_INPUT, "odd", retryable=False)
    assert outcomes == [odd, Succeeded('{"value": 2}'), odd]
    assert sizes == [3]


def test_a_model_that_changes_its_list_of_inputs_does_no_harm() -> None:
    def predict(inputs: list[int]) -> list[int]:
        if len(inputs) > 1:
            inputs.clear()
            raise ValueError
        return [inputs.pop()]

    assert predict_isolated(predict, [1, 2, 3], lambda *_: None) == [Succeeded("1"), Succeeded("2"), Succeeded("3")]


def test_an_interrupt_is_no_models_error() -> None:
    with pytest.raises(KeyboardInterrupt):
        Passes({1: KeyboardInterrupt()}).run([0, 1])


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (InputError("too long"), ErrorCode.INVALID_INPUT, False),
        (OutputError("not a dict"), ErrorCode.INVALID_OUTPUT, False),
        (MemoryError(), ErrorCode.OUT_OF_MEMORY, True),
        (ValueError("bad"), ErrorCode.MODEL_ERROR, True),
        (ArtifactError("gone"), ErrorCode.MODEL_ERROR, True),
        (SystemExit(3), ErrorCode.MODEL_ERROR, True),
        (TimeoutError("slow"), ErrorCode.MODEL_ERROR, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_retryable_or_permanent(error: BaseException, code: ErrorCode, retryable: bool) -> None:
    failed = classify(error)
    assert (failed.code, failed.retryable) == (code, retryable)
    assert str(error) in failed.message


class BadImage(ValueError):
    """As a model may define one, or a library."""


@pytest.mark.parametrize(
    ("names", "retryable"),
    [
        ((), True),
        (("KeyError",), True),
        (("Image",), True),
        (("BadImage",), False),
        (("KeyError", "test_isolation.BadImage"), False),
        (("tests.unit.test_isolation.BadImage",), False),
        (("other.BadImage",), True),
        (("ValueError",), False),
        (("builtins.ValueError",), False),
    ],
)
def test_an_error_that_the_manifest_calls_permanent_is_not_retried(names: tuple[str, ...], retryable: bool) -> None:
    assert classify(BadImage("x"), names) == Failed(ErrorCode.MODEL_ERROR, "BadImage: x", retryable)
    outcomes = predict_isolated(Passes({1: BadImage("x")}).predict, [0, 1], lambda *_: None, names)
    assert outcomes == [Succeeded("0"), Failed(ErrorCode.MODEL_ERROR, "BadImage: x", retryable)]


def test_every_error_may_be_permanent_but_that_of_a_model_which_does_not_load() -> None:
    assert classify(MemoryError(), ["Exception"]).retryable is False
    assert classify(NotLoadedError("no weights"), ["Exception"]).retryable is True


def test_an_objects_address_is_left_out_of_the_text() -> None:
    class Image:
        pass

    error = ValueError(f"cannot read {Image()!r}")
    assert " at 0x" in str(error)
    assert classify(error).message.endswith(".Image object>")
    assert " at 0x" not in classify(InputError(str(error))).message


def test_an_exit_says_what_to_do_instead() -> None:
    assert classify(SystemExit(3)).message.startswith("The model called sys.exit(3); raise an exception")


def test_the_text_of_an_input_error_is_the_clients_and_others_name_their_type() -> None:
    assert classify(InputError("Text is not English.")).message == "Text is not English."
    assert classify(ValueError("bad")).message == "ValueError: bad"
    assert "memory_mb" in classify(MemoryError()).message


@pytest.mark.parametrize("kind", [InputError, OutputError, ValueError, MemoryError])
def test_a_long_text_is_cut(kind: type[Exception]) -> None:
    assert len(classify(kind("x" * 100_000)).message) < 700


@pytest.mark.parametrize("odd", [{"p": math.nan}, {"p": math.inf}, {"p": object()}, OutputError("is no dict")])
def test_an_output_that_cannot_be_a_result_fails_alone_and_costs_no_other_pass(odd: Any) -> None:
    told: list[int] = []
    first, second = predict_isolated(lambda _: [odd, {}], [0, 0], lambda _, inputs: told.append(inputs))
    assert isinstance(first, Failed)
    assert (first.code, first.retryable) == (ErrorCode.INVALID_OUTPUT, False)
    assert second == Succeeded("{}")
    assert told == [1]
