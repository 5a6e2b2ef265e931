"""A model that waits, in its pass, until the test closes a connection: they share ports, and no files."""

from __future__ import annotations

import socket
from typing import Any

from worker.model import Model


class Waiting(Model):
    """Inputs are `{"text": str}`, outputs `{"words": int}`; "wait <port>" is predicted when that port's side closes."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for item in inputs:
            if item["text"].startswith("wait "):
                with socket.create_connection(("127.0.0.1", int(item["text"].split()[1])), timeout=60) as connection:
                    connection.recv(1)
        return [{"words": len(item["text"].split())} for item in inputs]
