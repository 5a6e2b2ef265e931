"""A model that describes files."""

from __future__ import annotations

import hashlib
from typing import Any

from worker.model import Model


class Media(Model):
    """Inputs have files, as bytes or as paths. An output has the size and the SHA-256 of each."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{place: described(each) for place, each in item.items()} for item in inputs]


def described(file: Any) -> Any:
    """What an output says of a file, or of a list of them."""
    if isinstance(file, list):
        return [described(each) for each in file]
    if isinstance(file, str):
        return file
    content = file if isinstance(file, bytes) else file.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
