"""A stand-in for RunPod's platform: its API for callers, and the one that the real worker SDK takes its jobs from.

    callers     POST /v2/{endpoint}/run, GET .../status/{id}, POST .../cancel/{id}
    workers     GET /take/job-take/..., job-take-batch/..., job-stop/... (which to stop); POST /done/{id}; GET /ping

As RunPod does it: callers need the API key; a finished job's callback is sent up to three times, unsigned; a job's
result is forgotten (here: by `forget`), and its status is then 404.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any

from tests.providers.json_server import NO_ANSWER, Answer, Asked, JsonServer, post

CALLBACKS = 3
TAKE_SECONDS = 0.5
"""How long a worker's question for a job waits for one."""


@dataclass
class Job:
    """A submitted job, and what came of it."""

    job_id: str
    body: dict[str, Any]
    status: str = "IN_QUEUE"
    output: Any = None
    error: str | None = None

    def document(self) -> dict[str, Any]:
        """As callers see it."""
        found: dict[str, Any] = {"id": self.job_id, "status": self.status}
        if self.status == "COMPLETED":
            found |= {"output": self.output, "executionTime": 1500, "delayTime": 20}
        if self.error is not None:
            found["error"] = self.error
        return found


class RunPodPlatform(JsonServer):
    """One platform with any endpoints.

    Args:
        key: the API key.

    Attributes:
        jobs: by id, in the order of their submits.
        down: whether callers get 503.
        submit_faults: for each next submit: `lost` (taken, no answer), `refused` (429), or `none`.
        callbacks: whether callbacks are sent.
        called_back: the status of each callback that was sent.
    """

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key
        self.jobs: dict[str, Job] = {}
        self.down = False
        self.submit_faults: deque[str] = deque()
        self.callbacks = True
        self.called_back: list[int | None] = []
        self._queue: deque[Job] = deque()
        self._to_stop: list[str] = []
        self._changed = threading.Condition()

    def worker_environment(self) -> dict[str, str]:
        """What the worker SDK finds the platform by."""
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{self.url}/take/job-take/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{self.url}/done/$ID?gpu=none",
            "RUNPOD_WEBHOOK_PING": f"{self.url}/ping/$RUNPOD_POD_ID",
            "RUNPOD_PING_INTERVAL": "10000",
            "RUNPOD_AI_API_KEY": self._key,
            "RUNPOD_POD_ID": "pod-1",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    def answer(self, asked: Asked) -> Answer:
        """See `JsonServer`."""
        match asked.method, asked.parts:
            case "GET", ["take", "job-stop", *_]:
                return self._stop()
            case "GET", ["take", kind, *_]:
                return self._take(asked, batch=kind == "job-take-batch")
            case "POST", ["done", job_id]:
                self.finish(job_id, **{key: asked.body[key] for key in ("output", "error") if key in asked.body})
                return Answer(200, {})
            case "GET", ["ping", *_]:
                return Answer(200, {})
            case method, ["v2", _, *rest]:
                return self._of_callers(method, rest, asked)
        return Answer(404, {"error": "no such path"})

    def _of_callers(self, method: str, rest: list[str], asked: Asked) -> Answer:
        if self.down:
            return Answer(503, {"error": "down"})
        if asked.headers.get("authorization") != f"Bearer {self._key}":
            return Answer(401, {"error": "unauthorized"})
        match method, rest:
            case "POST", ["run"]:
                return self._submit(asked.body)
            case "GET", ["status", job_id] if job_id in self.jobs:
                return Answer(200, self.jobs[job_id].document())
            case "POST", ["cancel", job_id] if job_id in self.jobs:
                job = self.jobs[job_id]
                with self._changed:
                    if job.status == "IN_PROGRESS":
                        self._to_stop.append(job_id)
                        self._changed.notify_all()
                    if job.status in ("IN_QUEUE", "IN_PROGRESS"):
                        job.status = "CANCELLED"
                return Answer(200, job.document())
        return Answer(404, {"error": "job not found"})

    def _submit(self, body: dict[str, Any]) -> Answer:
        fault = self.submit_faults.popleft() if self.submit_faults else "none"
        if fault == "refused":
            return Answer(429, {"error": "too many"}, {"Retry-After": "1"})
        job = Job(str(uuid.uuid4()), body)
        with self._changed:
            self.jobs[job.job_id] = job
            self._queue.append(job)
            self._changed.notify_all()
        return NO_ANSWER if fault == "lost" else Answer(200, {"id": job.job_id, "status": job.status})

    def _take(self, asked: Asked, *, batch: bool) -> Answer:
        size = int(asked.path.partition("batch_size=")[2].partition("&")[0] or 1) if batch else 1
        with self._changed:
            self._changed.wait_for(lambda: self._queue, TAKE_SECONDS)
            taken = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
            taken = [job for job in taken if job.status == "IN_QUEUE"]
            for job in taken:
                job.status = "IN_PROGRESS"
        if not taken:
            return Answer(204)
        found = [{"id": job.job_id, "input": job.body["input"]} for job in taken]
        return Answer(200, found if batch else found[0])

    def _stop(self) -> Answer:
        with self._changed:
            self._changed.wait_for(lambda: self._to_stop, TAKE_SECONDS)
            found, self._to_stop = self._to_stop, []
        return Answer(200, {"jobsToStop": found}) if found else Answer(204)

    def finish(self, job_id: str, output: Any = None, error: str | None = None) -> None:
        """End a job, as a worker does, and call back. A job that is over stays as it is."""
        job = self.jobs[job_id]
        with self._changed:
            if job.status not in ("IN_QUEUE", "IN_PROGRESS"):
                return
            job.status, job.output, job.error = "COMPLETED" if error is None else "FAILED", output, error
            self._changed.notify_all()
        if self.callbacks and job.body.get("webhook"):
            threading.Thread(target=self.call_back, args=[job_id], daemon=True).start()

    def call_back(self, job_id: str) -> None:
        """Send a job's callback until it is taken, as often as RunPod does."""
        job = self.jobs[job_id]
        for _ in range(CALLBACKS):
            status = post(job.body["webhook"], json.dumps(job.document()).encode(), {})
            self.called_back.append(status)
            if status is not None and status < 300:
                return

    def forget(self, job_id: str) -> None:
        """As 30 minutes after a job's end."""
        del self.jobs[job_id]
