"""The model that BENCH_MODEL names, as other servers run it: its class's own `predict`, a batch in one pass.

Grouping a batch by the size of its inputs is our worker's work, and none of theirs.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.model import load

Predict = Callable[[list[dict[str, Any]]], list[Any]]


def predictor() -> Predict:
    """Load the model, on one thread."""
    model = load(Path(os.environ["BENCH_MODEL"]), threads=1).model
    return lambda inputs: list(model.predict(inputs))


def batch_size() -> int:
    """The most inputs that the server may put into a batch."""
    return int(os.environ["BENCH_BATCH"])
