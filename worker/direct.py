"""Predicting inputs that came with a call: no record, no queue, no payload bucket. For the synchronous function, the
server, and the wrappers of GPU providers.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inference.catalog import Validate
from inference.errors import InvalidInput
from inference.references import is_reference, with_references_replaced
from inference.requests import ErrorCode
from inference.store.payloads import JSON
from inference.telemetry import Telemetry, function_name
from worker.files import OpenFiles
from worker.input_files import as_file, with_files
from worker.isolation import Failed, Outcome, Succeeded, predict_isolated
from worker.loading import LoadableModel
from worker.memory import ModelMemory
from worker.model.artifact import S3Client
from worker.model.loaded import LoadedModel, load
from worker.predictor import Predictor, log_failed_pass

_FILE = "#/files/"

Fetch = Callable[[str], bytes]
"""Returns the file that a reference's `$ref` names. May raise InvalidInput."""


def _no_references(reference: str) -> bytes:
    raise InvalidInput(f"{reference[:100]} is a reference; send the file itself, as base64")


class DirectPrediction:
    """Predicts inputs of one model.

    Args:
        model: predicts; it is loaded by the first pass.
        validate: checks an input and fills in defaults; the same check that the api function makes.
        fetch: reads the files that inputs refer to; by default a reference makes its input invalid.

    Attributes:
        model: the one that predicts.
    """

    def __init__(
        self, model: Predictor, validate: Validate, telemetry: Telemetry, fetch: Fetch = _no_references
    ) -> None:
        self.model = model
        self._validate = validate
        self._telemetry = telemetry
        self._fetch = fetch

    def predict(self, inputs: Sequence[Any]) -> list[Outcome]:
        """Predict inputs in one forward pass: their outcomes, in their order. What is wrong with one of them is the
        outcome of that one; nothing is raised.

        Args:
            inputs: JSON values, their files as base64. They are changed in place.
        """
        self.model.begin_invocation()
        outcomes: dict[int, Outcome] = {}
        valid: dict[int, Any] = {}
        with OpenFiles() as opened:
            for index, value in enumerate(inputs):
                try:
                    valid[index] = self._with_files(self._validate(value), opened)
                except InvalidInput as error:
                    outcomes[index] = Failed(ErrorCode.INVALID_INPUT, str(error), retryable=False)
            if valid:
                predicted = predict_isolated(
                    opened.rewinding(self.model.predict),
                    list(valid.values()),
                    lambda error, count: log_failed_pass(self._telemetry, error, count),
                    self.model.permanent_errors,
                    self.model.output_files,
                )
                outcomes.update(zip(valid, predicted, strict=True))
        return [outcomes[index] for index in range(len(inputs))]

    def _with_files(self, value: Any, opened: OpenFiles) -> Any:
        def of_reference(reference: Any, place: str, kind: str) -> Any:
            return as_file(self._fetch(str(reference["$ref"])), kind, opened)

        return with_files(value, self.model.input_files, opened, of_reference)


def output_of(outcome: Succeeded) -> Any:
    """An output with its files in it, as base64."""
    output, files = json.loads(outcome.result), list(outcome.files)
    last = len(files) - 1
    if files and files[last].content_type == JSON and output == {"$ref": f"{_FILE}{last}"}:
        output = json.loads(files.pop().content)  # an output that was too large for a record

    def inline(reference: Any) -> Any:
        name = str(reference["$ref"])
        number = name.removeprefix(_FILE)
        if not name.startswith(_FILE) or not number.isdecimal() or int(number) >= len(files):
            return reference  # the model's own data
        return base64.b64encode(files[int(number)].content).decode("ascii")

    return inline(output) if is_reference(output) else with_references_replaced(output, inline)


def open_model(
    folder: Path,
    telemetry: Telemetry,
    memory: ModelMemory,
    *,
    name: str | None = None,
    artifact: str | None = None,
    threads: int | None = None,
    s3_client: Callable[[], S3Client] | None = None,
    gpu: bool = False,
) -> LoadableModel:
    """A model folder of a package that is loaded when it is first used, or by `load`.

    Args:
        folder: has manifest.json, model.py and, unless `artifact` is given, the artifact.
        memory: decides which models of this process stay loaded; the same for all of them.
        name: the model's; by default the folder's.
        artifact: replaces the packaged one: `s3://bucket/key`, as for `load`; `s3_client` is needed for it.
        threads: to compute on; by default one for each of this machine's CPUs.
        gpu: compute on CUDA where this machine has it.
    """
    name = name or folder.name

    def load_folder() -> LoadedModel:
        cpus = threads or os.cpu_count() or 1
        return load(folder, artifact=artifact, threads=cpus, s3_client=s3_client, gpu=gpu, is_packaged=True)

    marker = Path(tempfile.gettempdir()) / f"{function_name()}-{name}-loading"
    return LoadableModel(name, folder / "manifest.json", load_folder, marker, telemetry, memory)
