"""Servers with dynamic batching, one worker process each: all of their processes on the contestants' core.

The clients are on the helpers' core: kept connections, each with one request on its way. Nothing is stored: whoever
asks has to wait for the answer, and a crash loses what was on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib.util
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.bench.celery_bench import START_SECONDS, free_port
from scripts.bench.contestants import Sample
from scripts.bench.processes import Memory, Process, clean_environment, cores
from scripts.bench.traffic import Subject
from scripts.console import ROOT, CommandError
from scripts.packaging.libraries import libraries_of

HOST = "127.0.0.1"
CONNECTIONS = 32
BATCH = 10
TIMEOUT_MS = 60_000  # Mosec's default of 3 s is too short for a transformer on a busy machine
PEERS = Path(__file__).with_name("peers")


@dataclass(frozen=True)
class Kind:
    """A server.

    Attributes:
        name: in the tables.
        library: what it is imported as; where `peers` has a folder of that name, it is installed by its requirements.
        arguments: those of Python for a host and a port.
        path: where it predicts.
        body: an input as that takes it; `answer` takes the output from what comes back.
        environment: settings of its own.
    """

    name: str
    library: str
    arguments: Callable[[str, int], Sequence[str]]
    path: str
    body: Callable[[Any], Any] = lambda item: item
    answer: Callable[[Any], Any] = lambda answer: answer
    environment: Mapping[str, str] = field(default_factory=dict)


MOSEC = Kind(
    "Mosec",
    "mosec",
    lambda host, port: (
        *("-m", "scripts.bench.mosec_app", "--address", host, "--port", str(port)),
        *("--log-level", "error", "--timeout", str(TIMEOUT_MS)),
    ),
    "/inference",
)
LITSERVE = Kind(
    "LitServe", "litserve", lambda host, port: ("-m", "scripts.bench.litserve_app", host, str(port)), "/predict"
)
BENTOML = Kind(
    "BentoML",
    "bentoml",
    lambda host, port: (
        *("-m", "bentoml", "serve", "scripts.bench.bentoml_app:Encoder"),
        *("--host", host, "--port", str(port)),
    ),
    "/predict",
    body=lambda item: {"inputs": [item]},
    answer=lambda answers: answers[0],
    environment={"BENTOML_DO_NOT_TRACK": "True"},
)


class HttpServer:
    """A running server; a `Contestant`."""

    def __init__(self, kind: Kind, batch: int, server: Process, port: int, subject: Subject) -> None:
        self.name = kind.name
        self.batch = batch
        self._kind = kind
        self._server = server
        self._port = port
        self._subject = subject
        self._peak = 0.0

    def run(self, requests: int, seed: int) -> Sample:
        messages = [self._message(text) for text in self._subject.texts(requests, seed)]
        with self._running():
            cpu_began, began = self._server.cpu_seconds, time.perf_counter()
            asyncio.run(self._send_all(messages))
            sample = Sample(requests, time.perf_counter() - began, self._server.cpu_seconds - cpu_began)
        self._peak = max(self._peak, self._server.family_memory)
        return sample

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        with self._running():
            return [self._ask(text) for text in texts]

    def memory(self) -> Memory:
        memory = self._server.family_memory
        return Memory(memory, max(memory, self._peak))

    def wait_until_ready(self) -> None:
        """Ask until it answers. Raises CommandError."""
        deadline = time.monotonic() + START_SECONDS
        seen: Exception | None = None
        while time.monotonic() < deadline and self._server.popen.poll() is None:
            try:
                self._ask("ready?")
                return
            except (OSError, http.client.HTTPException, ValueError, CommandError) as failure:
                seen = failure
            time.sleep(0.1)
        raise CommandError(f"{self.name} did not start: {seen}; {self._server.last_error}")

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Let it run inside the block, and stand still afterwards: one that polls would take the others' core."""
        self._server.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.pause()

    def pause(self) -> None:
        """Let it stand still, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._server.send_signal(signal.SIGSTOP)

    def _body(self, text: str) -> bytes:
        return json.dumps(self._kind.body(self._subject.item(text))).encode()

    def _ask(self, text: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
        try:
            connection.request("POST", self._kind.path, self._body(text), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise CommandError(f"{self.name} rejected a request: {response.status} {response.reason}")
            answer: dict[str, Any] = self._kind.answer(json.loads(response.read()))
            return answer
        finally:
            connection.close()

    def _message(self, text: str) -> bytes:
        body = self._body(text)
        head = f"POST {self._kind.path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def _send_all(self, messages: list[bytes]) -> None:
        left = iter(messages)
        await asyncio.gather(*(self._send(left) for _ in range(CONNECTIONS)))

    async def _send(self, messages: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        for message in messages:
            writer.write(message)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                raise CommandError(f"{self.name} rejected a request: {head.splitlines()[0].decode()}")
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()


@contextlib.contextmanager
def running(kind: Kind, folder: Path, model: Path, subject: Subject, batch: int = BATCH) -> Iterator[HttpServer]:
    """A server with the model of an unpacked package, which gets the subject's texts in batches of up to `batch`.

    Raises:
        CommandError: it is not installed and can't be, or does not start.
    """
    path = [str(folder), str(ROOT)]
    if (PEERS / kind.library).is_dir():
        path.append(str(libraries_of(PEERS / kind.library)))
    elif importlib.util.find_spec(kind.library) is None:
        raise CommandError(f"{kind.name} is not installed: pip install -e '.[bench]'")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        own = {"BENCH_MODEL": str(model), "BENCH_BATCH": str(batch), "PYTHONPATH": ":".join(path), "HOME": home}
        environment = clean_environment({**own, **kind.environment})
        command = ("python", *kind.arguments(HOST, port))
        with Process(command, cores()[0], folder, environment) as process:
            server = HttpServer(kind, batch, process, port, subject)
            server.wait_until_ready()
            server.pause()
            try:
                yield server
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)  # to end, it has to run
