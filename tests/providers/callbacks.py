"""Where providers call back: as the callbacks function, it has the adapter read each, and looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tests.providers.json_server import Answer, Asked, JsonServer
from tests.providers.processes import until
from worker.backends.base import Backend, Look, NotAuthentic, Running, Submission

SECONDS = 600


class Callbacks(JsonServer):
    """Reads callbacks.

    Attributes:
        raw: headers and body of each, as they came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[tuple[Mapping[str, str], bytes]] = []
        self.lost = 0

    def answer(self, asked: Asked) -> Answer:
        """See `JsonServer`. The first `lost` callbacks are not taken."""
        if len(self.asked) <= self.lost:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE)
        self.raw.append((asked.headers, asked.content))
        return Answer(HTTPStatus.OK, {})

    def outcome(self, backend: Backend, value: Any, number: int = 1) -> Look:
        """Submit, wait for the callback, and return what it or a look says."""
        before = len(self.raw)
        provider_id = backend.submit(
            Submission("r1", number, value, f"{self.url}/callbacks/m/r1/{number}/sig", SECONDS)
        )

        def called() -> Look | None:
            for headers, body in self.raw[before:]:
                callback = backend.read_callback(headers, body)
                if callback.provider_id == provider_id:
                    return callback.look or backend.look(provider_id)
            return None

        return until(called, f"the callback of {provider_id}")  # type: ignore[no-any-return]


def looked(backend: Backend, value: Any, number: int = 1) -> Look:
    """Submit without a callback, and look until the run is over."""
    provider_id = backend.submit(Submission("r1", number, value, None, SECONDS))

    def over() -> Look | None:
        look = backend.look(provider_id)
        return None if isinstance(look, Running) else look

    return until(over, f"the run {provider_id}")  # type: ignore[no-any-return]


def rejects(backend: Backend, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a callback is not believed."""
    try:
        backend.read_callback(headers, body)
    except NotAuthentic:
        return True
    return False


def changed(body: bytes) -> bytes:
    """The same callback with another output."""
    return json.dumps(json.loads(body) | {"output": {"prediction": "forged"}}).encode()
