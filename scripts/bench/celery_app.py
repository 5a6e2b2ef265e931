"""A model as a Celery task: what runs inside Celery's worker processes (see `celery_bench`)."""

import os
from typing import Any

from celery import Celery

from scripts.bench.peer_model import Predict, predictor

app = Celery("bench", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
_predict: list[Predict] = []


def predict(item: dict[str, Any]) -> Any:
    """Predict one input; the process's first call loads the model."""
    if not _predict:
        _predict.append(predictor())
    return _predict[0]([item])[0]


app.task(name="predict")(predict)
