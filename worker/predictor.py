"""The model as those see it who predict with it: the batch loop, and calls that carry their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from inference.telemetry import Telemetry
from worker.model.errors import InputError


class Predictor(Protocol):
    """A model that can be loaded, and predicts."""

    @property
    def version(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def is_loaded(self) -> bool: ...
    @property
    def permanent_errors(self) -> Sequence[str]: ...
    @property
    def input_files(self) -> Mapping[str, str]: ...
    @property
    def output_files(self) -> Mapping[str, str]: ...
    def begin_invocation(self) -> None: ...
    def load(self) -> None: ...
    def predict(self, inputs: list[Any]) -> Sequence[Any]: ...


def log_failed_pass(telemetry: Telemetry, error: BaseException, inputs: int) -> None:
    """Log that a pass, or one output of it, failed."""
    if isinstance(error, InputError):  # caused by the client, which gets the message
        telemetry.info("input_rejected", reason=str(error), inputs=inputs)
        return
    telemetry.error("prediction_failed", error, inputs=inputs)
