"""Feeds a handler inside its own process, and says how long it took: commands and answers are lines of JSON.

    python -m scripts.bench.driver real|reference MODEL      with the unpacked package first on the path

{"requests": 500, "batch": 10, "seed": 1} -> {"requests": 500, "seconds": ..., "cpu_seconds": ..., "log_bytes": ...}
{"floor": true, "requests": ...}          -> the same for the model's bare work (see `floor`)
{"overhead": true, "requests": ...}       -> {"cpu_seconds": ..., "floor_cpu_seconds": ..., "sections": {...}}
{"predict": ["a text", ...]}              -> {"answers": [...]}

CPU is that of the whole process, all threads, user and system; making the events is not in it. What the handler
prints goes to a file, as it would go to Lambda's pipe.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from scripts.bench import traffic
from scripts.bench.floor import Floor, overhead

TIMEOUT_MS = 30_000
CHUNK = 500  # requests whose events are made at a time


class Context:
    """What the handlers read of Lambda's context."""

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._deadline = time.monotonic() + TIMEOUT_MS / 1000

    def get_remaining_time_in_millis(self) -> int:
        return int((self._deadline - time.monotonic()) * 1000)


def main() -> None:
    """Import the handler and answer until stdin ends."""
    replies = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        real = sys.argv[1] == "real"
        module = importlib.import_module("worker.handler" if real else "reference_worker")
        subject = traffic.SUBJECTS[sys.argv[2]]
        body = partial(traffic.message_body, model=subject.model) if real else traffic.reference_body
        _say(replies, {"ready": True})
        for line in sys.stdin:
            command = json.loads(line)
            if "predict" in command:
                inputs = [subject.item(text) for text in command["predict"]]
                answers = module.single.predict(inputs) if real else [module.predict(**item) for item in inputs]
                _say(replies, {"answers": answers})
                continue
            texts, batch = subject.texts(command["requests"], command["seed"]), command["batch"]
            items = [subject.item(text) for text in texts]
            if "floor" in command:
                taken = {"log_bytes": 0, **Floor(module.single.loaded.model).run(items, batch)}
            elif "overhead" in command:
                taken = overhead(module, items, batch, partial(_arguments, body))
            else:
                taken = _run(module.handler, body, texts, batch)
            _say(replies, taken)


def _arguments(body: Callable[[str], str], items: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], Context]:
    return traffic.sqs_event([body(item["text"]) for item in items]), Context()


def _run(handler: Any, body: Callable[[str], str], texts: Sequence[str], batch: int) -> dict[str, Any]:
    os.ftruncate(1, 0)
    os.lseek(1, 0, os.SEEK_SET)
    seconds = cpu_seconds = 0.0
    for start in range(0, len(texts), CHUNK):
        bodies = [body(text) for text in texts[start : start + CHUNK]]
        events = [traffic.sqs_event(bodies[first : first + batch]) for first in range(0, len(bodies), batch)]
        began, cpu_began = time.perf_counter(), time.process_time()
        answers = [handler(event, Context()) for event in events]
        cpu_seconds += time.process_time() - cpu_began
        seconds += time.perf_counter() - began
        failed = [answer for answer in answers if answer.get("batchItemFailures")]
        if failed:
            raise SystemExit(f"the handler gave messages back: {failed[0]}")
    sys.stdout.flush()
    return {
        "requests": len(texts),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "log_bytes": os.lseek(1, 0, os.SEEK_END),
    }


def _say(replies: Any, answer: dict[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
