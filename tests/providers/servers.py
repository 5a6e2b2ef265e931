"""Providers' servers that answer with the sentiment folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.providers.processes import PROVIDERS, free_port, get, process, until
from tests.providers.runpod_platform import RunPodPlatform

BEARER = "from-cog"


@contextmanager
def cog_server(app: Path) -> Iterator[str]:
    """The real Cog server; its URL."""
    port = free_port()
    variables = {
        "PORT": str(port),
        "COG_PREDICT_TYPE_STUB": str(app / "predict.py:Runner"),
        "COG_MAX_CONCURRENCY": "10",
        "WEBHOOK_AUTH_TOKEN": BEARER,
    }
    url = f"http://127.0.0.1:{port}"
    with process(PROVIDERS, ["-m", "cog.server.http", "--host", "127.0.0.1"], app, variables):
        until(lambda: get(f"{url}/health-check")["status"] == "READY", "the Cog server")
        yield url


@contextmanager
def runpod_worker(platform: RunPodPlatform, app: Path) -> Iterator[None]:
    """RunPod's real worker, which takes the platform's jobs."""
    variables = platform.worker_environment()
    with process(PROVIDERS, ["-m", "worker.providers.runpod_handler"], app / "app", variables):
        until(lambda: any("job-take" in asked.path for asked in platform.asked), "the RunPod worker")
        yield
