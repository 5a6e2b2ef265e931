"""What a provider tells of a run, as the outcome of an attempt."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from inference.requests import ErrorCode
from inference.telemetry import Telemetry
from worker.backends.base import Failed as RunFailed
from worker.backends.base import Succeeded as RunSucceeded
from worker.isolation import MAX_MESSAGE_CHARACTERS, Failed, Outcome, predict_isolated
from worker.model import places
from worker.model.errors import OutputError


def outcome_of_output(run: RunSucceeded, output_files: Mapping[str, str], telemetry: Telemetry) -> Outcome:
    """The outcome of a run that ended with an output: checked and with its files apart, as a worker's own.

    Args:
        output_files: the manifest's; such a file is base64 text in the provider's output.
    """

    def predict(_: list[Any]) -> Sequence[Any]:
        if not isinstance(run.output, dict):
            raise OutputError(f"the provider's output is {type(run.output).__name__}; a model's output is an object")
        return [_with_files_decoded(run.output, output_files)]

    return predict_isolated(
        predict, [None], lambda error, _: telemetry.error("prediction_failed", error, inputs=1), (), output_files
    )[0]


def _with_files_decoded(output: Any, output_files: Mapping[str, str]) -> Any:
    for place in output_files:

        def decode(found: Any, place: str = place) -> Any:
            if not isinstance(found, str):
                return found
            try:
                return base64.b64decode(found, validate=True)
            except (binascii.Error, ValueError) as error:
                raise OutputError(f"{place} of the provider's output is not base64") from error

        output = places.replace_at(output, places.parse(place), decode)
    return output


def outcome_of_failure(run: RunFailed) -> Outcome:
    """The outcome of a run that the provider calls failed."""
    code = run.code or (ErrorCode.BACKEND_ERROR if run.retryable else ErrorCode.MODEL_ERROR)
    return Failed(code, run.message[:MAX_MESSAGE_CHARACTERS], run.retryable)


def failure_to_json(run: RunFailed) -> str:
    """The record's `run_failure`."""
    fields = {"message": run.message[:MAX_MESSAGE_CHARACTERS], "retryable": run.retryable}
    return json.dumps({**fields, "run_seconds": run.run_seconds, "code": run.code})


def failure_from_json(text: str) -> RunFailed:
    """Read the record's `run_failure`."""
    fields = json.loads(text)
    code = fields.pop("code", None)
    return RunFailed(**fields, code=None if code is None else ErrorCode(code))
