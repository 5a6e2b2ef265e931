"""A worker that fails on demand: the real handler, with faults injected around its steps. Only tests' zips have it.

A request's input says what happens to it: `{"text": ..., "fault": {"point": ..., "kind": ..., "times": n}}` fails in
the first n deliveries of its message, and `"until": path` as long as there is no such file. Without either: always.

INIT_SECONDS kills a start that takes longer, as Lambda does it after 10 s: the emulator waits for it without end.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

signal.alarm(int(os.environ.get("INIT_SECONDS", "0")))
from inference.telemetry import now_ms
from worker import handler as real
from worker.claims import Claimer
from worker.finish import Finisher
from worker.loading import LoadableModel

signal.alarm(0)

LONGER_THAN_ANY_TIMEOUT = 60
_MEGABYTE = 2**20

_active: dict[str, Mapping[str, Any]] = {}
"""Text -> fault, of the messages of the invocation at hand."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The real handler, then whatever is to happen before its answer gets out."""
    _active.clear()
    _active.update(_faults(event.get("Records", ())))
    _apply_faults("on_entry", list(_active))
    answer = real.handler(event, context)
    _apply_faults("after_finish", list(_active))
    return answer


def _faults(records: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for record in records:
        try:
            value = json.loads(record["body"])["input"]
            fault = value.get("fault")
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if fault is None or ("until" in fault and Path(fault["until"]).exists()):
            continue
        count = int(record["attributes"]["ApproximateReceiveCount"])
        if count <= fault.get("times", count):
            yield value["text"], fault


def _apply_faults(point: str, texts: Iterable[str]) -> None:
    for text in texts:
        fault = _active.get(text)
        if fault is not None and fault["point"] == point:
            real.telemetry.info("fault_injected", point=point, kind=fault["kind"], text=text, at=now_ms())
            _KINDS[fault["kind"]]()


def _sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit() -> None:
    os._exit(1)


def _exception() -> None:
    raise RuntimeError("injected")


def _timeout() -> None:
    time.sleep(LONGER_THAN_ANY_TIMEOUT)


def _memory() -> None:
    raise MemoryError("injected")


def _allocation() -> None:
    """An allocation that the system really rejects."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 64 * _MEGABYTE, hard))
    try:
        bytearray(1024 * _MEGABYTE)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _hoard() -> None:
    """More memory than the function has, in use: Lambda kills the process, and so does the emulator."""
    hoard = bytearray(1024 * _MEGABYTE)
    hoard[::4096] = b"x" * len(hoard[::4096])
    time.sleep(LONGER_THAN_ANY_TIMEOUT)


def _hang() -> None:
    """Native code that never lets go of the interpreter lock: no other thread runs any more."""
    ctypes.PyDLL(None).sleep(LONGER_THAN_ANY_TIMEOUT)


_KINDS = {
    "sigkill": _sigkill,
    "exit": _exit,
    "exception": _exception,
    "timeout": _timeout,
    "memory": _memory,
    "allocation": _allocation,
    "hoard": _hoard,
    "hang": _hang,
}


def _inject() -> None:
    """Put the faults between the real steps."""
    claim, claim_alone, finish, predict = Claimer.claim, Claimer.claim_alone, Finisher.finish, LoadableModel.predict

    def text(delivery: Any) -> str:
        return str(delivery.message.input["text"])

    def faulty_claim(self: Any, deliveries: Any, *arguments: Any) -> Any:
        _apply_faults("before_claim", map(text, deliveries))
        found = claim(self, deliveries, *arguments)
        _apply_faults("after_claim", [text(claimed.delivery) for claimed in found.claims])
        return found

    def faulty_claim_alone(self: Any, delivery: Any, *arguments: Any) -> Any:
        _apply_faults("before_claim", [text(delivery)])
        found = claim_alone(self, delivery, *arguments)
        _apply_faults("after_claim", [text(claimed.delivery) for claimed in found.claims])
        return found

    def faulty_predict(self: Any, inputs: list[dict[str, Any]]) -> Any:
        texts = [item["text"] for item in inputs]
        _apply_faults("during_predict", texts)
        outputs = predict(self, inputs)
        real.telemetry.info("computed", texts=texts)
        return outputs

    def faulty_finish(self: Any, claims: Any, *arguments: Any) -> Any:
        _apply_faults("before_finish", [text(claimed.delivery) for claimed in claims])
        return finish(self, claims, *arguments)

    Claimer.claim = faulty_claim  # type: ignore[method-assign]
    Claimer.claim_alone = faulty_claim_alone  # type: ignore[method-assign]
    Finisher.finish = faulty_finish  # type: ignore[method-assign]
    LoadableModel.predict = faulty_predict  # type: ignore[method-assign]


_inject()
