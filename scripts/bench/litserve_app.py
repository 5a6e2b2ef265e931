"""A model as a LitServe server (see `http_servers`): HOST and PORT on the command line."""

import sys
from typing import Any

import litserve

from scripts.bench.peer_model import batch_size, predictor

WAIT_SECONDS = 0.005


class Api(litserve.LitAPI):  # type: ignore[misc]
    """LitServe gives `predict` the inputs of a batch."""

    def setup(self, device: Any) -> None:
        self._predict = predictor()

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, x: list[Any]) -> list[Any]:
        return self._predict(x)

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output


if __name__ == "__main__":
    host, port = sys.argv[1:]
    api = Api(max_batch_size=batch_size(), batch_timeout=WAIT_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host=host, port=int(port), num_api_servers=1, generate_client_file=False, log_level="error")
