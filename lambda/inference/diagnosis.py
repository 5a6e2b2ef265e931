"""Why a request's message died: what its record and the worker's log say, in words that a person can act on.

A worker that is killed cannot write a reason. Lambda writes one for it, into the worker's log group: the platform's
lines carry the invocation's id, which every claim leaves in the record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from inference.requests import ErrorCode, Failure, Record

ReadLines = Callable[[str, str, int], Sequence[str]]
"""(log group, invocation id, since epoch ms) -> the lines of that invocation."""

OWN_LINE = '{"level": '
"""How a line of our own telemetry begins."""

_TIMED_OUT = re.compile(r"Task timed out|Status: timeout")
_OUT_OF_MEMORY = re.compile(r"Runtime\.OutOfMemory|MemoryError|OutOfMemoryError")
_KILLED = re.compile(r"signal: killed")
_ENDED = re.compile(r"Runtime exited with error: (?:exit status (\d+)|signal: ([a-z ]+))")
_MEMORY = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")


def diagnose(record: Record, log_group: str, read_lines: ReadLines) -> Failure:
    """The failure to write into a request whose message is in the dead-letter queue."""
    if record.attempts == 0:
        text = (
            "No worker took the request in any of its deliveries: the worker does not start, or has no"
            f" concurrency left. See the log group {log_group}."
        )
        return Failure(ErrorCode.UNDELIVERED, text)
    told = _told(record)
    if told is not None:
        return told
    lines: Sequence[str] = ()
    if record.invocation_id is not None:
        lines = read_lines(log_group, record.invocation_id, record.started_at or record.submitted_at)
    code, cause = _evidence(lines)
    where = f" Its log: group {log_group}, invocation {record.invocation_id}."
    return Failure(code, f"{cause} in attempt {record.attempts} of {record.attempt_limit}.{where}", record.attempts)


def _told(record: Record) -> Failure | None:
    """What the last attempt itself could still say before it ended."""
    if record.error is None:
        return None
    error = json.loads(record.error)
    if error.get("attempt") != record.attempts:
        return None
    return Failure(ErrorCode(error["code"]), error["message"], record.attempts)


def _evidence(lines: Sequence[str]) -> tuple[ErrorCode, str]:
    # Not our own lines: what one says of a neighbour's MemoryError is no evidence of this request's end.
    text = "\n".join(line for line in lines if not line.startswith(OWN_LINE))
    memory = _MEMORY.search(text)
    full = memory is not None and int(memory[2]) >= int(memory[1])
    if _TIMED_OUT.search(text):
        return ErrorCode.TIMEOUT, "The worker timed out; raise timeout_seconds or send smaller inputs. It happened"
    if _OUT_OF_MEMORY.search(text) or (_KILLED.search(text) and full):
        size = f" ({memory[2]} of {memory[1]} MB used)" if memory else ""
        return ErrorCode.OUT_OF_MEMORY, f"The worker ran out of memory{size}; raise memory_mb. It happened"
    ended = _ENDED.search(text)
    if ended and ended[1]:
        why = f"ended itself with exit status {ended[1]} (os._exit, or a library's); raise an exception instead"
        return ErrorCode.CRASHED, f"The worker's process {why}. It happened"
    if ended and ended[2] != "killed":
        why = f"crashed in native code ({ended[2]}); look for a library that does not fit the input or the machine"
        return ErrorCode.CRASHED, f"The worker's process {why}. It happened"
    return ErrorCode.CRASHED, "The worker exited without an error message (killed, or a crash in native code)"
