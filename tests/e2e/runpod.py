"""A stand-in for RunPod's platform on this machine: a test says when a job is done, and whether the platform is up."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKEN = "rp_token-of-the-end-to-end-tests"


class Platform:
    """Jobs by their ids; `down` answers 503, `calls` are the methods and paths that came."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.down = False
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self.port = 0

    @property
    def url(self) -> str:
        """What `backend.url` is set to."""
        return f"http://127.0.0.1:{self.port}/v2"

    def jobs_of(self, text: str) -> list[str]:
        """The jobs that got this text."""
        return [job_id for job_id, job in self.jobs.items() if job["input"]["text"] == text]

    def finish(self, job_id: str, output: Any) -> None:
        """A worker of the platform is done."""
        self.jobs[job_id] |= {"status": "COMPLETED", "output": output, "executionTime": 1500}

    def callback_path(self, job_id: str) -> str:
        """Where the platform would call. The emulator answers at another address than AWS."""
        return urlsplit(self.jobs[job_id]["webhook"]).path

    def answer(self, method: str, path: str, token: str | None, body: bytes) -> tuple[int, Any]:
        """One call of RunPod's API."""
        with self._lock:
            self.calls.append((method, path))
            if self.down:
                return 503, {"error": "unavailable"}
            if token != f"Bearer {TOKEN}":
                return 401, {"error": "unauthorized"}
            what, _, job_id = path.removeprefix("/v2/abc123/").partition("/")
            if (method, what) == ("POST", "run"):
                job_id = f"job-{next(self._ids)}"
                said = json.loads(body)
                self.jobs[job_id] = {"id": job_id, "status": "IN_QUEUE", **said}
                return 200, {"id": job_id, "status": "IN_QUEUE"}
            job = self.jobs.get(job_id)
            if job is None:
                return 404, {"error": "not found"}
            if (method, what) == ("POST", "cancel"):
                job["status"] = "CANCELLED"
            return 200, {key: value for key, value in job.items() if key not in ("input", "webhook", "policy")}


@contextmanager
def running() -> Iterator[Platform]:
    """The platform, answering on a free port."""
    platform = Platform()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, answer = platform.answer(self.command, self.path, self.headers.get("authorization"), body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    platform.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield platform
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
