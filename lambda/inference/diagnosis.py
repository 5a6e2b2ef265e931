"""Finds the reason why a message went to the dead-letter queue, in the request's record and the worker's log.

A killed worker can't write a reason. Lambda writes one into the worker's log group: its lines have the invocation's id,
which every claim stores in the record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from inference.requests import ErrorCode, Failure, Record

ReadLines = Callable[[str, str, int], Sequence[str]]
"""(log group, invocation id, start time in epoch ms) -> the lines of that invocation."""

OWN_LINE = '{"level":'
"""The start of a telemetry line of the worker itself."""

_TIMED_OUT = re.compile(r"Task timed out|Status: timeout")
_OUT_OF_MEMORY = re.compile(r"Runtime\.OutOfMemory|MemoryError|OutOfMemoryError")
_KILLED = re.compile(r"signal: killed")
_ENDED = re.compile(r"Runtime exited with error: (?:exit status (\d+)|signal: ([a-z ]+))")
_MEMORY = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")


def diagnose(record: Record, log_group: str, read_lines: ReadLines) -> Failure:
    """The failure of a request whose message is in the dead-letter queue."""
    if record.attempts == 0:
        text = (
            "No worker processed the request in any of its deliveries: the worker does not start, or has no"
            f" concurrency left. See the log group {log_group}."
        )
        return Failure(ErrorCode.UNDELIVERED, text)
    recorded = _recorded_failure(record)
    if recorded is not None:
        return recorded
    lines: Sequence[str] = ()
    if record.invocation_id is not None:
        lines = read_lines(log_group, record.invocation_id, record.started_at or record.submitted_at)
    code, cause = _reason_from_log(lines)
    where = f" Log group: {log_group}, invocation: {record.invocation_id}."
    return Failure(code, f"{cause} in attempt {record.attempts} of {record.attempt_limit}.{where}", record.attempts)


def _recorded_failure(record: Record) -> Failure | None:
    """The failure that the last attempt itself has recorded, if any."""
    if record.error is None:
        return None
    error = json.loads(record.error)
    if error.get("attempt") != record.attempts:
        return None
    return Failure(ErrorCode(error["code"]), error["message"], record.attempts)


def _reason_from_log(lines: Sequence[str]) -> tuple[ErrorCode, str]:
    # Without the worker's own lines: they may name the MemoryError of another request in the batch.
    text = "\n".join(line for line in lines if not line.startswith(OWN_LINE))
    memory = _MEMORY.search(text)
    full = memory is not None and int(memory[2]) >= int(memory[1])
    if _TIMED_OUT.search(text):
        return ErrorCode.TIMEOUT, "The worker timed out; raise timeout_seconds or send smaller inputs. This happened"
    if _OUT_OF_MEMORY.search(text) or (_KILLED.search(text) and full):
        size = f" ({memory[2]} of {memory[1]} MB used)" if memory else ""
        return ErrorCode.OUT_OF_MEMORY, f"The worker ran out of memory{size}; raise memory_mb. This happened"
    ended = _ENDED.search(text)
    if ended and ended[1]:
        why = f"exited with status {ended[1]} (os._exit, by the model or a library); raise an exception instead"
        return ErrorCode.CRASHED, f"The worker's process {why}. This happened"
    if ended and ended[2] != "killed":
        why = f"crashed in native code ({ended[2]}); check the libraries for this input and this CPU"
        return ErrorCode.CRASHED, f"The worker's process {why}. This happened"
    return ErrorCode.CRASHED, "The worker exited without an error message (killed, or a crash in native code)"
