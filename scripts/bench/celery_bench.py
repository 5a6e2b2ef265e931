"""Celery with Redis, the usual task queue: one prefork worker process, its default, on the contestants' core.

Redis runs on the helpers' core, as AWS does. Tasks are queued while the worker is stopped, so that only the worker's
own work is timed: fetching, predicting, storing the result.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.bench.contestants import Sample
from scripts.bench.processes import Memory, Process, clean_environment, cores
from scripts.bench.traffic import Subject
from scripts.console import ROOT, CommandError

START_SECONDS = 60.0
RESULT_SECONDS = 300.0
POLL_SECONDS = 0.01
_OPTIONS = ("--pool", "prefork", "--concurrency", "1", "--loglevel", "WARNING")
_NO_CHATTER = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class CeleryWorker:
    """A running Celery worker; a `Contestant`."""

    name = "Celery + Redis"
    batch = 1

    def __init__(self, worker: Process, app: Any, subject: Subject) -> None:
        self._worker = worker
        self._subject = subject
        self._app = app
        self._peak = 0.0

    def run(self, requests: int, seed: int) -> Sample:
        self._worker.send_signal(signal.SIGSTOP)
        try:
            last = [self._send(text) for text in self._subject.texts(requests, seed)][-1]
            cpu_began, began = self._worker.cpu_seconds, time.perf_counter()
        finally:
            self._worker.send_signal(signal.SIGCONT)
        while not last.ready():  # one process takes them in order: the last is done last
            if time.perf_counter() - began > RESULT_SECONDS:
                raise CommandError(f"Celery did not finish {requests} tasks in {RESULT_SECONDS:g} s")
            time.sleep(POLL_SECONDS)
        sample = Sample(requests, time.perf_counter() - began, self._worker.cpu_seconds - cpu_began)
        self._peak = max(self._peak, self._worker.family_memory)
        self._app.backend.client.flushdb()
        return sample

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [self._send(text).get(timeout=START_SECONDS) for text in texts]

    def memory(self) -> Memory:
        return Memory(self._worker.family_memory, max(self._peak, self._worker.family_memory))

    def _send(self, text: str) -> Any:
        return self._app.send_task("predict", [self._subject.item(text)])


@contextlib.contextmanager
def running(folder: Path, model: Path, subject: Subject) -> Iterator[CeleryWorker]:
    """Redis and a Celery worker with the model of an unpacked package, which gets the subject's texts.

    Raises:
        CommandError: Celery or Redis is not installed, or does not start.
    """
    if importlib.util.find_spec("celery") is None or importlib.util.find_spec("redis") is None:
        raise CommandError("Celery is not installed: pip install -e '.[bench]'")
    server = shutil.which("redis-server")
    if server is None:
        raise CommandError("redis-server is not installed: install the system's package of that name")
    from celery import Celery

    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    environment = clean_environment({"PYTHONPATH": f"{folder}:{ROOT}", "BENCH_REDIS": url, "BENCH_MODEL": str(model)})
    redis = (server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    command = ("python", "-m", "celery", "-A", "scripts.bench.celery_app", "worker", *_OPTIONS, *_NO_CHATTER)
    with Process(redis, cores()[1], folder, environment) as broker:
        _wait_for(port, broker)
        with Process(command, cores()[0], folder, environment) as worker:
            app = Celery("bench", broker=url, backend=url)
            contestant = CeleryWorker(worker, app, subject)
            try:
                contestant.predict(["ready?"])
                yield contestant
            finally:
                app.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, process: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.popen.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(POLL_SECONDS)
    raise CommandError(f"nothing listens on port {port}: {process.last_error}")
