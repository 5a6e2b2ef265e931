"""A model as a Mosec server (see `http_servers`); the command line is Mosec's own."""

from typing import Any

from mosec import Server, Worker

from scripts.bench.peer_model import batch_size, predictor

WAIT_MS = 5


class Predict(Worker):  # type: ignore[misc]
    """Mosec gives it the inputs of a batch, decoded; without a batch, one input."""

    def __init__(self) -> None:
        super().__init__()
        self._predict = predictor()
        self._single = batch_size() == 1

    def forward(self, data: Any) -> Any:
        return self._predict([data])[0] if self._single else self._predict(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Predict, num=1, max_batch_size=batch_size(), max_wait_time=WAIT_MS)
    server.run()
