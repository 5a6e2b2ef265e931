"""Gives the emulator's functions Lambda's limits: each has its own /tmp, and is killed when it uses too much memory.

Patches MiniStack, which starts functions as subprocesses that share everything. Resident memory counts, as on Lambda; a
limit on the address space would stop every process that loads torch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.02
KILLED_LINES = "RequestId: {} Error: Runtime exited with error: signal: killed\nRuntime.ExitError"


class Functions:
    """Starts the functions' processes, and monitors their memory (on Linux).

    Args:
        resident: memory of a process in MB, now and peak; None for one that has ended.
    """

    def __init__(self, resident: Callable[[int], tuple[int, int] | None]) -> None:
        self._resident = resident
        self._lock = threading.Lock()
        self._running: dict[int, tuple[str, int]] = {}
        self._peaks: dict[str, int] = {}
        self._killed: dict[str, int] = {}

    def start(self, command: Any, **options: Any) -> subprocess.Popen[Any]:
        """Start a process; a function's process gets its own folder for temporary files."""
        env = options.get("env") or {}
        name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        if not name:
            return subprocess.Popen(command, **options)
        # Each version has its own execution environments, so it does not see files of another version.
        version = env.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        folder = Path(env.get("TMPDIR") or "/tmp") / "functions" / name / version
        folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(command, **options | {"env": {**env, "TMPDIR": str(folder)}})
        with self._lock:
            self._running[process.pid] = (name, int(env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0)))
        return process

    def watch(self) -> None:
        """Check every process once, and kill those that use more memory than their function has."""
        with self._lock:
            running = dict(self._running)
        for pid, (name, limit) in running.items():
            used = self._resident(pid)
            with self._lock:
                if used is None:
                    self._running.pop(pid, None)
                    continue
                now, peak = used
                self._peaks[name] = min(peak, limit) if limit else peak
                if limit and now > limit:
                    self._killed[name] = limit
                    self._running.pop(pid, None)
            if limit and now > limit:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def watch_loop(self) -> None:
        """Check the processes again and again; runs in a thread."""
        while True:
            self.watch()
            time.sleep(POLL_SECONDS)

    def peak(self, name: str) -> int | None:
        """Peak memory in MB of the function's latest process; None if it is not known."""
        with self._lock:
            return self._peaks.get(name)

    def killed(self, name: str) -> int | None:
        """The limit in MB, if a process of the function was killed for it since the last call; else None."""
        with self._lock:
            return self._killed.pop(name, None)


def resident(pid: int) -> tuple[int, int] | None:
    """A process's memory in MB by Linux: now, and peak."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = (line.partition(":") for line in lines)
    found = {name: int(value.split()[0]) // 1024 for name, _, value in fields if value.endswith("kB")}
    return (found["VmRSS"], found["VmHWM"]) if "VmRSS" in found else None


def patch() -> None:
    """Patch the MiniStack of this process."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    functions = Functions(resident)

    class Subprocess:
        """The module `subprocess` with another Popen."""

        Popen = staticmethod(functions.start)

        def __getattr__(self, name: str) -> Any:
            return getattr(subprocess, name)

    lambda_runtime.subprocess = Subprocess()
    if not Path("/proc/self/status").exists():
        return  # macOS: functions have no memory limit there
    emit, probe = lambda_svc._emit_lambda_logs, lambda_svc._probe_peak_memory_mb

    def name_of(func: dict[str, Any]) -> str:
        return str((func.get("config") or func).get("FunctionName", ""))

    # Another process of the same function may have been checked since the kill.
    reported = threading.local()

    def peak(func: dict[str, Any]) -> int:
        known = getattr(reported, "limit", None) or functions.peak(name_of(func))
        return int(probe(func)) if known is None else known

    def emit_logs(func: dict[str, Any], request_id: str, log_text: str, error: bool, *more: Any, **named: Any) -> None:
        reported.limit = functions.killed(name_of(func)) if error else None
        if reported.limit is not None:
            log_text = "\n".join(filter(None, (log_text, KILLED_LINES.format(request_id))))
        emit(func, request_id, log_text, error, *more, **named)

    lambda_svc._probe_peak_memory_mb = peak
    lambda_svc._emit_lambda_logs = emit_logs
    threading.Thread(target=functions.watch_loop, daemon=True).start()
