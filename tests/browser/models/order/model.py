"""A model that sends its inputs back."""

from __future__ import annotations

from typing import Any

from worker.model import Model


class Order(Model):
    """Inputs are any, outputs `{"received": input}`."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"received": item} for item in inputs]
