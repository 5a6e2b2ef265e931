"""A handler under the real Lambda runtime client (awslambdaric), cold or warm."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench.processes import Process, clean_environment, cores
from scripts.bench.runtime_api import FunctionError, RuntimeApi
from scripts.console import CommandError

START_SECONDS = 120.0


@dataclass(frozen=True)
class Function:
    """What Lambda would be told: the package's folder, the handler, the environment."""

    name: str
    folder: Path
    handler: str
    environment: Mapping[str, str]
    memory_mb: int = 1769
    timeout_seconds: int = 30


@dataclass(frozen=True)
class Start:
    """One cold start, in ms since the process was created; memory in MB, at the end of INIT and at most."""

    init_ms: float
    first_result_ms: float
    init_cpu_ms: float
    init_memory_mb: float
    peak_memory_mb: float


def start_cold(function: Function, event: Mapping[str, Any]) -> Start:
    """Start a process, wait until it asks for an event, hand it one, wait for the result.

    Raises:
        CommandError: the function does not start, or answers with an error.
    """
    with running(function) as (process, api):
        init_ms = 1000 * ((api.ready_at or 0) - process.started)
        memory, cpu_ms = process.memory, 1000 * process.cpu_seconds
        reply = answer(function, process, api, event)
        first_ms = 1000 * (reply - process.started)
        return Start(init_ms, first_ms, cpu_ms, memory.now, process.memory.peak)


@contextlib.contextmanager
def running(function: Function) -> Iterator[tuple[Process, RuntimeApi]]:
    """The function's process after INIT, and its Runtime API.

    Raises:
        CommandError: it does not start.
    """
    if importlib.util.find_spec("awslambdaric") is None:
        raise CommandError("awslambdaric is not installed: pip install -e '.[bench]'")
    with RuntimeApi(memory_mb=function.memory_mb, timeout_seconds=function.timeout_seconds) as api:
        environment = clean_environment({"LAMBDA_TASK_ROOT": str(function.folder), **function.environment})
        command = ("python", "-m", "awslambdaric", function.handler)
        with Process(command, cores()[0], function.folder, api.environment | environment) as process:
            try:
                api.wait_until_ready(START_SECONDS)
            except FunctionError as error:
                raise CommandError(f"{function.name} does not start: {error}; {process.last_error}") from error
            yield process, api


def answer(function: Function, process: Process, api: RuntimeApi, event: Mapping[str, Any]) -> float:
    """Hand over an event; returns when the result came. Raises CommandError for an error or a rejection."""
    try:
        reply = api.invoke(event, START_SECONDS)
    except FunctionError as error:
        raise CommandError(f"{function.name} failed: {error}; {process.last_error}") from error
    payload = reply.payload or {}
    if payload.get("batchItemFailures") or payload.get("statusCode", 200) >= 400:
        raise CommandError(f"{function.name} answered {payload}")
    return reply.at
