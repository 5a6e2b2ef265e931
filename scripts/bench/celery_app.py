"""The demo model as a Celery task: what runs inside Celery's worker processes (see `celery_bench`)."""

import os
from pathlib import Path
from typing import Any

from celery import Celery

from worker.model import load
from worker.model.loaded import LoadedModel

app = Celery("bench", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
_model: list[LoadedModel] = []


def predict(item: dict[str, Any]) -> Any:
    """Predict one input; the process's first call loads the model."""
    if not _model:
        _model.append(load(Path(os.environ["BENCH_MODEL"]), threads=1))
    return _model[0].predict([item])[0]


app.task(name="predict")(predict)
