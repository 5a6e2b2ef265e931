"""The app as a server of its own, for Cloud Run, ECS or any machine.

    python -m worker.sync.server          settings are environment variables, as in docs/sync.md

All models are loaded before it listens. SIGTERM lets the calls that it has end, for STOP_SECONDS. When a pass runs on
for as long again as its call had, the process ends, so that the platform starts another one: a pass can't be stopped,
and no other call would ever be predicted.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from inference.aws import clients
from inference.errors import ConfigurationError
from inference.settings import ServerSettings
from inference.telemetry import Telemetry
from worker.memory import BUDGET, ModelMemory
from worker.model.errors import NotLoadedError
from worker.sync.app import create_app
from worker.sync.lane import Lane
from worker.sync.models import FOLDERS, description_of, open_models, predictions_of
from worker.sync.predictions import Limits, Predictions

STOP_SECONDS = 9
"""Cloud Run kills a container ten seconds after SIGTERM."""

DEFAULTS = {
    "LOG_LEVEL": "INFO",
    "HOST": "127.0.0.1",
    "PORT": "8080",
    "TIMEOUT_SECONDS": "29",
    "MAX_WAITING": "8",
    "MAX_BODY_BYTES": "4500000",
    "MAX_BODY_DEPTH": "32",
}


class Server(uvicorn.Server):
    """A server that logs when it is asked to stop, and ends with an exit code of its own.

    Args:
        telemetry: where it logs.
    """

    def __init__(self, config: uvicorn.Config, telemetry: Telemetry) -> None:
        super().__init__(config)
        self._telemetry = telemetry
        self.failed = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT. A second one stops at once."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and log where: with PORT=0 the system chooses the port."""
        await super().startup(sockets)
        for listening in self.servers[:1]:
            host, port = listening.sockets[0].getsockname()[:2]
            self._telemetry.info("server_started", host=host, port=port)

    def _stop(self, number: int, frame: object) -> None:
        self._telemetry.info("server_stopping", signal=signal.Signals(number).name)
        self.force_exit = self.should_exit
        self.should_exit = True

    def replace(self) -> None:
        """Stop, as a failure."""
        self.failed = True
        self.should_exit = True


def settings_from(environment: Mapping[str, str]) -> ServerSettings:
    """The settings. Raises ConfigurationError. Without MODELS, every model folder in the package is a model."""
    named = {path.parent.name: path.parent.name for path in sorted(FOLDERS.glob("*/manifest.json"))}
    return ServerSettings.from_environment({**DEFAULTS, "MODELS": json.dumps(named), **environment})


def make_server(settings: ServerSettings, telemetry: Telemetry) -> Server:
    """The server, with its models loaded; one that does not load is tried again by each of its calls."""
    memory = ModelMemory(int(_memory_bytes() * BUDGET), telemetry)
    models = open_models(
        settings.models, settings.model_artifacts, telemetry, memory, s3_client=lambda: clients.client("s3")
    )
    for model in models.values():
        with suppress(NotLoadedError):
            model.load()
    watching: list[Server] = []

    def on_abandoned(still_runs: Callable[[], bool]) -> None:
        def end() -> None:
            if still_runs():
                telemetry.error("process_replaced", reason="a pass, which was answered with a timeout, still runs")
                watching[0].replace()

        timer = threading.Timer(settings.timeout_seconds, end)
        timer.daemon = True
        timer.start()

    lane = Lane(settings.max_waiting, on_abandoned)
    limits = Limits(settings.max_body_bytes, settings.max_body_depth, settings.max_batch_items)
    async_url = settings.async_url.rstrip("/") or None
    app = create_app(
        Predictions(predictions_of(models, settings.models, telemetry), lane, limits, async_url),
        telemetry,
        lambda request: settings.timeout_seconds,
        lambda: description_of(settings.models, {"max_body_bytes": settings.max_body_bytes}),
    )
    config = uvicorn.Config(
        app,
        settings.host,
        settings.port,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    watching.append(Server(config, telemetry))
    return watching[0]


def _memory_bytes() -> int:
    """What this process may use: the container's limit, else the machine's memory."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" is no limit
            return min(total, int(Path(path).read_text(encoding="ascii")))
    return total


def main() -> int:
    """Run the server. Returns the process's exit code."""
    try:
        settings = settings_from(os.environ)
    except ConfigurationError as error:
        print(f"the server can't start: {error}", file=sys.stderr)
        return 2
    telemetry = Telemetry("server", settings.log_level)
    telemetry.begin()
    server = make_server(settings, telemetry)
    server.run()
    telemetry.info("server_stopped", failed=server.failed)
    return int(server.failed or not server.started)


if __name__ == "__main__":
    sys.exit(main())
