"""The bench's encoder without a `size`; becomes model.py beside the real one, which is `sized.py` there."""

from worker.model import Model

from .sized import Encoder  # type: ignore[import-not-found,import-untyped,unused-ignore]


class Unsized(Encoder):  # type: ignore[misc,unused-ignore]
    size = Model.size
