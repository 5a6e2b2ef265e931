"""A model whose right answer is known from the text alone; what goes wrong with it, its worker injects."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from worker.model import InputError, Model

REJECTED = "reject "
REPORTED = "report "


class Faulty(Model):
    """Inputs are `{"text": str, "work_ms": int, "fault": {...}}`, outputs `{"digest": str, "characters": int}`.

    It takes `work_ms` for each input, and can never predict a text that begins with `reject `. A pass with a text that
    begins with `report ` reports its progress when half of its time is over.
    """

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any] | InputError]:
        seconds = sum(item["work_ms"] for item in inputs) / 1000
        if any(item["text"].startswith(REPORTED) for item in inputs):
            seconds /= 2
            time.sleep(seconds)
            self.progress(0.5, "half of the work")
        time.sleep(seconds)
        return [self._predict(item["text"]) for item in inputs]

    def _predict(self, text: str) -> dict[str, Any] | InputError:
        if text.startswith(REJECTED):
            return InputError("this text cannot be predicted")
        return {"digest": hashlib.sha256(text.encode()).hexdigest()[:16], "characters": len(text)}
