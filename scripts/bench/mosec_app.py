"""The demo model as a Mosec server (see `mosec_bench`); the command line is Mosec's own."""

import os
from pathlib import Path
from typing import Any

from mosec import Server, Worker

from worker.model import load


class Predict(Worker):  # type: ignore[misc]
    """Mosec gives it the inputs of a batch, decoded."""

    def __init__(self) -> None:
        super().__init__()
        self._model = load(Path(os.environ["BENCH_MODEL"]), threads=1)

    def forward(self, data: list[dict[str, Any]]) -> Any:
        return self._model.predict(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Predict, num=1, max_batch_size=int(os.environ["BENCH_BATCH"]), max_wait_time=5)
    server.run()
