"""A stand-in for Beam: a task queue's address and the task API, in front of a process that runs the app's `.local()`.

POST /queue                 {"input", "callback_url"} -> {"task_id"}
GET /v2/task/{id}/, DELETE /v2/task/cancel/
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
import uuid
from typing import Any

from tests.providers.json_server import Answer, Asked, JsonServer, post
from worker.backends.beam import signature


class BeamApi(JsonServer):
    """One workspace with one queue.

    Args:
        token, key: the API token and the signing key of the workspace.
        worker: runs tests/providers/beam_process.py.

    Attributes:
        tasks: by id.
    """

    def __init__(self, token: str, key: str, worker: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self._token = token
        self._key = key
        self._worker = worker
        self.tasks: dict[str, dict[str, Any]] = {}
        self._waiting: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, asked: Asked) -> Answer:
        """See `JsonServer`."""
        if asked.headers.get("authorization") != f"Bearer {self._token}":
            return Answer(401, {"error": "unauthorized"})
        match asked.method, asked.parts:
            case "POST", ["queue"]:
                task_id = str(uuid.uuid4())
                self.tasks[task_id] = {"id": task_id, "status": "PENDING", "started_at": None, "ended_at": None}
                self._waiting.put((task_id, asked.body))
                return Answer(200, {"task_id": task_id})
            case "GET", ["v2", "task", task_id] if task_id in self.tasks:
                return Answer(200, self.tasks[task_id])
            case "DELETE", ["v2", "task", "cancel"]:
                for task_id in asked.body["task_ids"]:
                    if task_id in self.tasks and self.tasks[task_id]["status"] == "PENDING":
                        self.tasks[task_id]["status"] = "CANCELLED"
                return Answer(200, {})
        return Answer(404, {"error": "not found"})

    def _work(self) -> None:
        while True:
            task_id, asked = self._waiting.get()
            task = self.tasks[task_id]
            if task["status"] != "PENDING":
                continue
            task |= {"status": "RUNNING", "started_at": _now()}
            assert self._worker.stdin is not None
            assert self._worker.stdout is not None
            self._worker.stdin.write(json.dumps(asked).encode() + b"\n")
            self._worker.stdin.flush()
            result = json.loads(self._worker.stdout.readline())
            task |= {"status": "COMPLETE", "ended_at": _now(), "result": result}
            if asked.get("callback_url"):
                self.call_back(task_id, asked["callback_url"])

    def call_back(self, task_id: str, url: str) -> int | None:
        """Send a task's callback; returns the status."""
        body, stamp = json.dumps({"data": self.tasks[task_id]["result"]}).encode(), str(int(time.time()))
        headers = {
            "X-Task-ID": task_id,
            "X-Task-Status": self.tasks[task_id]["status"],
            "X-Task-Timestamp": stamp,
            "X-Task-Signature": signature(self._key, body, stamp),
        }
        return post(url, body, headers)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
