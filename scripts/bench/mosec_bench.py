"""Mosec, a server with dynamic batching, one worker process: all of it on the contestants' core.

The clients are on the helpers' core: kept connections, each with one request on its way. Nothing is stored: whoever
asks has to wait for the answer, and a crash loses what was on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib.util
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.bench import traffic
from scripts.bench.celery_bench import START_SECONDS, _free_port
from scripts.bench.contestants import Sample
from scripts.bench.processes import Memory, Process, clean_environment, cores
from scripts.console import ROOT, CommandError

HOST = "127.0.0.1"
CONNECTIONS = 32
BATCH = 10


class MosecServer:
    """A running Mosec server; a `Contestant`."""

    name = "Mosec"
    batch = BATCH

    def __init__(self, server: Process, port: int) -> None:
        self._server = server
        self._port = port

    def run(self, requests: int, seed: int) -> Sample:
        messages = [self._message(text) for text in traffic.texts(requests, seed)]
        cpu_began, began = self._server.cpu_seconds, time.perf_counter()
        asyncio.run(self._send_all(messages))
        return Sample(requests, time.perf_counter() - began, self._server.cpu_seconds - cpu_began)

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [self._ask(text) for text in texts]

    def memory(self) -> Memory:
        memory = self._server.family_memory
        return Memory(memory, memory)

    def wait_until_ready(self) -> None:
        """Ask until it answers. Raises CommandError."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._server.popen.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._ask("ready?")
                return
            time.sleep(0.1)
        raise CommandError(f"Mosec did not start: {self._server.last_error}")

    def _ask(self, text: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
        try:
            connection.request("POST", "/inference", json.dumps({"text": text, "threshold": 0.5}))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def _message(self, text: str) -> bytes:
        body = json.dumps({"text": text, "threshold": 0.5}).encode()
        return f"POST /inference HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def _send_all(self, messages: list[bytes]) -> None:
        left = iter(messages)
        await asyncio.gather(*(self._send(left) for _ in range(CONNECTIONS)))

    async def _send(self, messages: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        for message in messages:
            writer.write(message)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                raise CommandError(f"Mosec rejected a request: {head.splitlines()[0].decode()}")
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()


@contextlib.contextmanager
def running(folder: Path, model: Path) -> Iterator[MosecServer]:
    """A Mosec server with the model of an unpacked package.

    Raises:
        CommandError: Mosec is not installed, or does not start.
    """
    if importlib.util.find_spec("mosec") is None:
        raise CommandError("Mosec is not installed: pip install -e '.[bench]'")
    port = _free_port()
    environment = clean_environment(
        {"PYTHONPATH": f"{folder}:{ROOT}", "BENCH_MODEL": str(model), "BENCH_BATCH": str(BATCH)}
    )
    command = ("python", "-m", "scripts.bench.mosec_app", "--address", HOST, "--port", str(port))
    with Process((*command, "--log-level", "error"), cores()[0], folder, environment) as process:
        server = MosecServer(process, port)
        server.wait_until_ready()
        yield server
