"""Predicting claimed requests: inputs are validated and predicted in one pass; each gets its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from inference.catalog import Validate
from inference.errors import InvalidInput
from inference.requests import ErrorCode, Message
from inference.telemetry import Stopwatch, Telemetry
from worker.claims import Claim
from worker.files import OpenFiles
from worker.isolation import Failed, Outcome, predict_isolated
from worker.model.errors import NotLoadedError
from worker.payloads import InputUnavailable, Resolved, WorkerPayloads
from worker.predictor import Predictor, log_failed_pass
from worker.timeout import Timeout

SLOWEST_DECAY = 0.9
"""After a slow pass, more time is kept for the next one; each quicker pass reduces it by this factor."""


@dataclass(frozen=True)
class Predicted:
    """The outcomes, in the order of the claims, and how long the model took for them."""

    outcomes: Sequence[Outcome]
    predict_ms: float


class Prediction:
    """Predicts claimed requests of one model.

    Args:
        model: predicts.
        validate: checks an input and fills in defaults; the same check that the api function makes.
        payloads: reads the inputs.

    Attributes:
        model: the one that predicts.
    """

    def __init__(self, model: Predictor, validate: Validate, telemetry: Telemetry, payloads: WorkerPayloads) -> None:
        self.model = model
        self._validate = validate
        self._telemetry = telemetry
        self._payloads = payloads
        self._slowest_ms = 0.0
        self._slowest_load_ms: float | None = None

    @property
    def expected_ms(self) -> float | None:
        """How long a pass takes if it is as slow as the slowest of the last ones, with the load if one is needed;
        None if this process has not loaded the model yet."""
        if self.model.is_loaded:
            return self._slowest_ms
        return None if self._slowest_load_ms is None else self._slowest_ms + self._slowest_load_ms

    def predict(self, claims: Sequence[Claim], seconds: float, on_timeout: Callable[[bool], None]) -> Predicted:
        """Load the model if need be, and predict.

        Args:
            seconds: how long both may take.
            on_timeout: called in a thread of its own when they take longer, with whether the model is still loading.
        """
        loading = True
        with Timeout(seconds, lambda: on_timeout(loading)):
            watch, was_loaded = Stopwatch(), self.model.is_loaded
            with suppress(NotLoadedError):  # predict raises it again
                self.model.load()
            if not was_loaded:
                self._slowest_load_ms = max((self._slowest_load_ms or 0) * SLOWEST_DECAY, watch.ms)
            loading = False
            watch = Stopwatch()
            outcomes = self._outcomes(claims)
            predict_ms = watch.ms
        self._slowest_ms = max(self._slowest_ms * SLOWEST_DECAY, predict_ms)
        return Predicted(outcomes, predict_ms)

    def _outcomes(self, claims: Sequence[Claim]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        inputs: dict[int, Any] = {}
        with OpenFiles() as opened:
            for index, claim in enumerate(claims):
                try:
                    inputs[index] = self._input(claim.delivery.message, opened)
                except InvalidInput as error:
                    outcomes[index] = Failed(ErrorCode.INVALID_INPUT, str(error), retryable=False)
                except InputUnavailable as error:
                    self._telemetry.warning("input_unavailable", reason=str(error), retryable=error.retryable)
                    outcomes[index] = Failed(ErrorCode.INPUT_UNAVAILABLE, str(error), error.retryable)
            if inputs:
                predicted = predict_isolated(
                    opened.rewinding(self.model.predict),
                    list(inputs.values()),
                    self._pass_failed,
                    self.model.permanent_errors,
                    self.model.output_files,
                )
                outcomes.update(zip(inputs, predicted, strict=True))
        return [outcomes[index] for index in range(len(claims))]

    def _input(self, message: Message, opened: OpenFiles) -> Any:
        """The input as the model gets it: complete, valid, with its files."""
        resolved = self._payloads.resolve(message, self.model.input_files)
        valid = Resolved(self._validate(resolved.value), resolved.known)
        return self._payloads.hand_over(valid, message, self.model.input_files, opened)

    def _pass_failed(self, error: BaseException, inputs: int) -> None:
        log_failed_pass(self._telemetry, error, inputs)
