"""Which shape is in a picture: circle, cross, square, star or triangle.

The artifact maps pictures [batch, 1, 32, 32] (float32) to logits [batch, 5] (float32). `training/train.py` draws the
pictures that it is trained with, and uses `pixels` below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.model import InputError, Model
from worker.model.pictures import on_white, open_picture

LABELS = ("circle", "cross", "square", "star", "triangle")
SIDE = 32


class Shapes(Model):
    """Inputs are `{"image": file}`, outputs `{"label": str, "confidence": float, "scores": {label: float}}`."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any] | InputError]:
        outputs: list[dict[str, Any] | InputError] = []
        rows = []
        for item in inputs:
            try:
                rows.append(pixels(on_white(open_picture(item["image"], wanted=4 * SIDE))))
            except InputError as error:
                outputs.append(error)
            else:
                outputs.append({})
        if not rows:
            return outputs
        (logits,) = self.runtime.run({"pictures": np.stack(rows)[:, None]})
        answers = iter([answer(row) for row in logits])
        return [output if isinstance(output, InputError) else next(answers) for output in outputs]


def answer(logits: np.ndarray) -> dict[str, Any]:
    """The output for one row of logits, with 4 digits."""
    exponents = np.exp(logits - logits.max())
    scores = {label: round(float(each), 4) for label, each in zip(LABELS, exponents / exponents.sum(), strict=True)}
    label = max(scores, key=scores.__getitem__)
    return {"label": label, "confidence": scores[label], "scores": scores}


def pixels(picture: Any) -> np.ndarray:
    """An RGB picture as float32 [32, 32]: how far each pixel's colour is from the background's, from 0 to 1. The
    background is the median colour of the picture's edge."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE))
    values = np.asarray(small, dtype=np.float32)
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    distance = np.abs(values - np.median(edge, axis=0)).max(axis=2)
    top = float(distance.max())
    found = np.zeros((SIDE, SIDE), dtype=np.float32)
    row, column = (SIDE - distance.shape[0]) // 2, (SIDE - distance.shape[1]) // 2
    found[row : row + distance.shape[0], column : column + distance.shape[1]] = distance / top if top > 0 else 0
    return found
