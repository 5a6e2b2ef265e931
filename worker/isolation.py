"""One forward pass for a batch; when it raises, the batch is split until the bad input is alone.

A batch of n with one bad input takes about 2 log2(n) more passes; a good batch takes none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.requests import ErrorCode
from inference.store.payloads import JSON, MAX_RESULT_BYTES
from worker.model.errors import InputError, NotLoadedError, OutputError
from worker.model.outputs import to_json
from worker.output_files import apart, with_files_apart
from worker.payloads import OutputFile

MAX_MESSAGE_CHARACTERS = 500
_NO_FILES: Mapping[str, str] = {}

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""As in `<Image object at 0x7f3a5c0b9d50>`: it differs in every process and must not reach clients."""


@dataclass(frozen=True)
class Succeeded:
    """The output as JSON text, and its files: those that the manifest declares, and all of it if it is too large."""

    result: str
    files: Sequence[OutputFile] = ()


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
    permanent: Sequence[str] = (),
    output_files: Mapping[str, str] = _NO_FILES,
) -> list[Outcome]:
    """Predict inputs, isolating those that fail: outcomes in the order of the inputs.

    Args:
        predict: the model; returns as many outputs as inputs, with an error for a bad one, or raises.
        inputs: at least one.
        on_error: called for each failed pass with its number of inputs, and for each output that is not a valid result.
        permanent: see `classify`.
        output_files: see `Manifest.output_files`.
    """
    try:
        outputs = predict(list(inputs))
    except (Exception, SystemExit) as error:
        # SystemExit too: a library that exits for one input must not end the process of the others.
        on_error(error, len(inputs))
        if len(inputs) == 1 or isinstance(error, NotLoadedError):
            return [classify(error, permanent)] * len(inputs)
        middle = len(inputs) // 2
        return [
            *predict_isolated(predict, inputs[:middle], on_error, permanent, output_files),
            *predict_isolated(predict, inputs[middle:], on_error, permanent, output_files),
        ]
    return [_outcome(output, on_error, output_files) for output in outputs]


def classify(error: BaseException, permanent: Sequence[str] = ()) -> Failed:
    """The error code, the message, and whether to retry. Only this function decides, by the exception's type.

    Args:
        permanent: names of exception types that are not retried; see `Manifest.permanent_errors`.
    """
    text = _clean(f"{type(error).__name__}: {error}")
    retryable = not _is_one_of(type(error), permanent)
    match error:
        case InputError():
            return Failed(ErrorCode.INVALID_INPUT, _clean(str(error)), retryable=False)
        case OutputError():
            return Failed(ErrorCode.INVALID_OUTPUT, text, retryable=False)
        case NotLoadedError():
            return Failed(ErrorCode.MODEL_NOT_LOADED, _clean(str(error)), retryable=True)
        case MemoryError():
            hint = "The model ran out of memory; give it more (memory_mb) or a smaller input."
            return Failed(ErrorCode.OUT_OF_MEMORY, f"{hint} {text}", retryable)
        case SystemExit():
            hint = f"The model called sys.exit({error.code!r}); raise an exception that says why, or InputError."
            return Failed(ErrorCode.MODEL_ERROR, _clean(hint), retryable)
        case _:
            return Failed(ErrorCode.MODEL_ERROR, text, retryable)


def _is_one_of(kind: type[BaseException], names: Sequence[str]) -> bool:
    """Whether the type or one of its bases has such a name, with or without its module."""
    full = [f".{base.__module__}.{base.__qualname__}" for base in kind.__mro__]
    return any(base.endswith(f".{name}") for name in names for base in full)


def _clean(text: str) -> str:
    return _ADDRESS.sub("", text)[:MAX_MESSAGE_CHARACTERS]


def _outcome(output: Any, on_error: Callable[[BaseException, int], None], output_files: Mapping[str, str]) -> Outcome:
    if isinstance(output, InputError):
        return classify(output)
    files: list[OutputFile] = []
    try:
        if isinstance(output, OutputError):
            raise output
        result = to_json(with_files_apart(output, output_files, files) if output_files else output)
    except OutputError as error:
        on_error(error, 1)
        return classify(error)
    if len(result) > MAX_RESULT_BYTES:
        result = apart(result.encode(), JSON, files)
    return Succeeded(result, tuple(files))
