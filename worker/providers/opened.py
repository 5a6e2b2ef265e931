"""The model of this process: the one model folder that was packaged with it.

Variables of the environment: MODEL_NAME names the folder, where there are several; MODEL_DEVICE is `cuda` (default:
used where there is one) or `cpu`; LOG_LEVEL as everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from inference.catalog import packaged_validator
from inference.errors import ConfigurationError
from inference.telemetry import Telemetry
from worker.direct import DirectPrediction, open_model
from worker.memory import ModelMemory
from worker.model.manifest import Manifest
from worker.providers.links import Links

MODELS = Path(__file__).parent.parent / "models"
NO_LIMIT = 2**62
"""One model in a process: nothing to drop for it."""


class Opened:
    """A model, and what predicts with it.

    Attributes:
        manifest: of the model.
        prediction: predicts; `load` loads the model before the first call.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, models: Path = MODELS) -> None:
        folder = _folder(models, environment.get("MODEL_NAME", ""))
        device = environment.get("MODEL_DEVICE", "cuda")
        if device not in ("cpu", "cuda"):
            raise ConfigurationError(f"MODEL_DEVICE must be cpu or cuda, not {device!r}")
        self.manifest = Manifest.read(folder / "manifest.json")
        telemetry = Telemetry(f"{self.manifest.name}-provider", environment.get("LOG_LEVEL", "INFO"))
        model = open_model(folder, telemetry, ModelMemory(NO_LIMIT, telemetry), gpu=device == "cuda")
        self.prediction = DirectPrediction(model, packaged_validator(folder.name), telemetry, Links())

    def load(self) -> None:
        """Load the model. Raises NotLoadedError: a wrapper's start fails then, and the provider shows it."""
        self.prediction.model.load()


def _folder(models: Path, name: str) -> Path:
    found = {path.parent.name: path.parent for path in models.glob("*/manifest.json")}
    if name and name not in found:
        raise ConfigurationError(f"MODEL_NAME is {name!r}, but the packaged models are {', '.join(sorted(found))}")
    if not name and len(found) != 1:
        raise ConfigurationError(
            f"MODEL_NAME must name one of the packaged models: {', '.join(sorted(found)) or 'none'}"
        )
    return found[name] if name else next(iter(found.values()))
