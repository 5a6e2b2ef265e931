"""A model in plain Python, with no artifact: it counts words."""

from __future__ import annotations

from typing import Any

from worker.model import Model


class WordCount(Model):
    """Inputs are `{"text": str}`, outputs `{"words": int}`."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"words": len(item["text"].split())} for item in inputs]
