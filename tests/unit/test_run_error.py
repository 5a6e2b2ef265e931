"""The error of a run at a provider: from the wrapper's outcome to the request's."""

from __future__ import annotations

import pytest

from inference.requests import ErrorCode
from worker import run_error
from worker.backends import answers
from worker.backends.base import Failed as RunFailed
from worker.dispatch.results import failure_from_json, failure_to_json, outcome_of_failure
from worker.isolation import Failed


@pytest.mark.parametrize(
    "failed",
    [
        Failed(ErrorCode.INVALID_INPUT, 'text is "empty"', retryable=False),
        Failed(ErrorCode.MODEL_ERROR, "ValueError: ü", retryable=True),
        Failed(ErrorCode.OUT_OF_MEMORY, "", retryable=True),
    ],
)
@pytest.mark.parametrize("before", ["", "Prediction failed: RunFailedError: "])
def test_what_the_wrapper_says_is_the_requests_error(failed: Failed, before: str) -> None:
    run = answers.failed("RunPod", f"{before}{run_error.to_text(failed)}", 2.5)
    assert (run.code, run.message, run.retryable, run.run_seconds) == (
        failed.code,
        failed.message,
        failed.retryable,
        2.5,
    )
    assert outcome_of_failure(failure_from_json(failure_to_json(run))) == failed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "boom",
        "5",
        "[]",
        "{}",
        '{"code": "new", "message": "", "retryable": true}',
        '{"code": [], "message": "", "retryable": true}',
        "[" * 100_000,
    ],
)
def test_any_other_text_is_the_models_own(text: str) -> None:
    assert run_error.from_text(text) is None
    run = answers.failed("RunPod", text)
    assert run.retryable
    assert outcome_of_failure(run).code == ErrorCode.BACKEND_ERROR


def test_an_outcome_without_a_code_is_kept_as_it_is() -> None:
    run = RunFailed("it does not fit", retryable=False)
    assert failure_from_json(failure_to_json(run)) == run
    assert outcome_of_failure(run).code == ErrorCode.MODEL_ERROR
