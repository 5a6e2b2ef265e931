"""A model that never ends to predict a text that says so."""

from __future__ import annotations

import threading
from typing import Any

from worker.model import Model


class Stuck(Model):
    """Inputs are `{"text": str}`, outputs `{"words": int}`; "stay" is predicted for ever, and "fail" raises."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        texts = [item["text"] for item in inputs]
        if "stay" in texts:
            threading.Event().wait()
        if "fail" in texts:
            raise ValueError("it was told to")
        return [{"words": len(text.split())} for text in texts]
