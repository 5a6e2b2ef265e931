"""A model whose right answer is known from the text alone; what goes wrong with it, its worker injects."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from worker.model import InputError, Model

REJECTED = "reject "


class Faulty(Model):
    """Inputs are `{"text": str, "work_ms": int, "fault": {...}}`, outputs `{"digest": str, "characters": int}`.

    It takes `work_ms` for each input, and can never predict a text that begins with `reject `.
    """

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any] | InputError]:
        time.sleep(sum(item["work_ms"] for item in inputs) / 1000)
        return [self._predict(item["text"]) for item in inputs]

    def _predict(self, text: str) -> dict[str, Any] | InputError:
        if text.startswith(REJECTED):
            return InputError("this text cannot be predicted")
        return {"digest": hashlib.sha256(text.encode()).hexdigest()[:16], "characters": len(text)}
