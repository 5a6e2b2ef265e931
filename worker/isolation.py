"""One forward pass for a batch; when it raises, the batch is split until the bad input stands alone.

A batch of n with one bad input costs about 2 log2(n) further passes, and only when something is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inference.payloads import MAX_RESULT_BYTES
from inference.requests import ErrorCode
from worker.errors import InputError, NotLoadedError, OutputError

MAX_MESSAGE_CHARACTERS = 500


@dataclass(frozen=True)
class Succeeded:
    """The output as JSON text."""

    result: str


@dataclass(frozen=True)
class Failed:
    """The input could not be predicted; `retryable` says whether another attempt could change that."""

    code: ErrorCode
    message: str
    retryable: bool


Outcome = Succeeded | Failed


def predict_isolated(
    predict: Callable[[list[Any]], Sequence[Any]],
    inputs: Sequence[Any],
    on_error: Callable[[BaseException, int], None],
) -> list[Outcome]:
    """Predict inputs, each as well as it can be: outcomes in the order of the inputs.

    Args:
        predict: the model; as many outputs as inputs, an error in the place of a bad one, or it raises.
        inputs: at least one.
        on_error: told of each failed pass and its number of inputs, and of each output that cannot be a result.
    """
    try:
        outputs = predict(list(inputs))
    except (Exception, SystemExit) as error:
        # SystemExit too: a library that gives up on one input must not take the others' worker away.
        on_error(error, len(inputs))
        if len(inputs) == 1 or isinstance(error, NotLoadedError):
            return [classify(error)] * len(inputs)
        middle = len(inputs) // 2
        return [
            *predict_isolated(predict, inputs[:middle], on_error),
            *predict_isolated(predict, inputs[middle:], on_error),
        ]
    return [_outcome(output, on_error) for output in outputs]


def classify(error: BaseException) -> Failed:
    """Retryable or permanent: decided here, by the exception's type, and nowhere else."""
    text = f"{type(error).__name__}: {error}"[:MAX_MESSAGE_CHARACTERS]
    match error:
        case InputError():
            return Failed(ErrorCode.INVALID_INPUT, str(error)[:MAX_MESSAGE_CHARACTERS], retryable=False)
        case OutputError():
            return Failed(ErrorCode.INVALID_OUTPUT, text, retryable=False)
        case MemoryError():
            hint = "The model ran out of memory; give it more (memory_mb) or a smaller input."
            return Failed(ErrorCode.OUT_OF_MEMORY, f"{hint} {text}", retryable=True)
        case _:
            return Failed(ErrorCode.MODEL_ERROR, text, retryable=True)


def _outcome(output: Any, on_error: Callable[[BaseException, int], None]) -> Outcome:
    if isinstance(output, InputError):
        return classify(output)
    try:
        if isinstance(output, OutputError):
            raise output
        result = json.dumps(output, allow_nan=False)
    except (OutputError, TypeError, ValueError, RecursionError) as error:
        on_error(error, 1)
        return classify(error if isinstance(error, OutputError) else OutputError(f"cannot be JSON: {error}"))
    if len(result) > MAX_RESULT_BYTES:
        size = f"The result has {len(result):,} bytes; a record holds {MAX_RESULT_BYTES:,}."
        return Failed(ErrorCode.RESULT_TOO_LARGE, size, retryable=False)
    return Succeeded(result)
