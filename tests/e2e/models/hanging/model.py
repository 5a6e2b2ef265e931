"""A model that never ends to load, as one that waits for a download without a timeout."""

from __future__ import annotations

import time
from typing import Any

from worker.model import Manifest, Model
from worker.model.runtimes import Runtime

LONGER_THAN_ANY_TIMEOUT = 60


class Hanging(Model):
    """Inputs are `{"text": str}`; there are no outputs."""

    def __init__(self, runtime: Runtime, manifest: Manifest) -> None:
        time.sleep(LONGER_THAN_ANY_TIMEOUT)
        super().__init__(runtime, manifest)

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        raise AssertionError("it never loads")
