"""What a model author writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.model.errors import InputError, ModelError
from worker.model.manifest import Manifest
from worker.model.progress import report
from worker.model.runtimes import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence


class Model:
    """Base class for models. A worker process creates one object and uses it for every batch."""

    pass_cost = 16
    """What one more forward pass costs, in units of `size`: about 16 tokens for a small transformer."""

    def __init__(self, runtime: Runtime, manifest: Manifest) -> None:
        """Override to prepare what every batch needs. `runtime` has the artifact open, unless it is `python`."""
        self.runtime = runtime
        self.manifest = manifest

    def load(self, path: Path) -> None:
        """Override to read the artifact, if the runtime is `python` and the manifest names an artifact for it.

        Called once, after `__init__`, with a local file whose digest was verified, and which exists as long as the
        worker; its suffix is that of the manifest's file. Not called for other runtimes: they open their artifacts.
        """
        raise ModelError(
            "model.py must define load(self, path) in its class: manifest.json names an artifact for runtime 'python'"
        )

    def predict(self, inputs: list[dict[str, Any]]) -> Sequence[dict[str, Any] | InputError]:
        """Predict a batch in ONE forward pass; outputs are JSON objects in the order of the inputs.

        Inputs satisfy the manifest's input schema, with its defaults filled in. For an input that can
        never be predicted, return an InputError as its output; an exception fails the batch.

        In the places that the manifest's `input_files` names there is a file instead: bytes, a Path or a binary stream.
        Files are deleted when this has returned. In those of `output_files` return bytes, or the Path of a file, which
        is deleted when it was read.
        """
        raise NotImplementedError

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell how far this pass is, from 0 to 1; clients see it in the status of all requests of the pass.

        May be called often, from any thread: at most one call a second is written, the last one, and the model does not
        wait for it. Raises ValueError if the fraction is no number.
        """
        report(fraction, message)

    def size(self, item: dict[str, Any]) -> int | None:
        """The input's size, in any unit, to group similar inputs in a pass; None: do not split batches.

        Called before `predict`, for each input of a batch; may raise as `predict` may.
        Without an override, inputs are grouped by the length of their JSON, if measuring shows that it helps.
        """
        return None
