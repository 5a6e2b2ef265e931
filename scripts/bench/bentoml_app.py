"""A model as a BentoML service with adaptive batching (see `http_servers`); the command line is BentoML's own."""

from typing import Any

import bentoml

from scripts.bench.peer_model import batch_size, predictor

LONGEST_MS = 60_000  # by default requests are rejected that would take longer than 60 ms


@bentoml.service(workers=1, traffic={"timeout": 60})
class Encoder:
    """BentoML joins the lists of waiting requests, and splits the answer."""

    def __init__(self) -> None:
        self._predict = predictor()

    @bentoml.api(batchable=True, max_batch_size=batch_size(), max_latency_ms=LONGEST_MS)  # type: ignore[untyped-decorator]
    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._predict(inputs)
