"""Kills worker processes at random with SIGKILL, as a failing machine would."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inference.requests import Status
from scripts.local.emulator import Emulator
from tests.e2e.control import Control

KILL_SECONDS = (0.3, 1.5)
START_SECONDS = 3.0


class Killer:
    """Kills processes of a model's worker, and no other, at random times, while nobody's last attempt is at work.

    Args:
        passed_over: requests whose attempts do not matter: they end their worker themselves.
    """

    def __init__(
        self,
        control: Control,
        emulator: Emulator,
        model: str,
        chosen: random.Random,
        passed_over: Callable[[], set[str]],
    ) -> None:
        self._control = control
        self._emulator = emulator
        self._model = model
        self._chosen = chosen
        self._passed_over = passed_over
        self.kills = 0
        self.in_leases = 0
        self.spared = 0

    def run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._chosen.uniform(*KILL_SECONDS)):
            victims = worker_processes(self._emulator, f"worker-{self._model}")
            if not victims:
                continue
            victim = self._chosen.choice(victims)
            with contextlib.suppress(ProcessLookupError):
                # Stopped, it can't claim anything between our look and its end; the second look sees what it claimed
                # while it was being stopped.
                os.kill(victim, signal.SIGSTOP)
                looks = [self._at_work(), self._at_work()]
                if any(work.last_attempt for work in looks):
                    os.kill(victim, signal.SIGCONT)
                    self.spared += 1
                    continue
                os.kill(victim, signal.SIGKILL)
                self.kills += 1
                self.in_leases += looks[-1].requests > 0

    def _at_work(self) -> _Work:
        """What the worker's processes hold live leases of; those that kill their worker themselves aside."""
        now = int(time.time() * 1000)
        passed_over = self._passed_over()
        pages = self._control.dynamodb.get_paginator("scan").paginate(
            TableName=self._control.table_name,
            FilterExpression="#status = :running AND lease_until >= :now AND model = :model",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":running": {"S": Status.RUNNING},
                ":now": {"N": str(now)},
                ":model": {"S": self._model},
            },
        )
        held = [item for page in pages for item in page["Items"] if item["request_id"]["S"] not in passed_over]
        last = any(int(item["attempts"]["N"]) >= int(item["attempt_limit"]["N"]) for item in held)
        return _Work(len(held), last)


@dataclass(frozen=True)
class _Work:
    """How many requests are at work, and whether one of them is in its last attempt."""

    requests: int
    last_attempt: bool


def worker_processes(emulator: Emulator, function: str, up_seconds: float = START_SECONDS) -> list[int]:
    """The processes of a function (by the end of its name) that have started up: children of the emulator alone.

    Args:
        up_seconds: of those that have been there for so long.

    If one is killed while it starts, the emulator stops all other processes of the function too, which AWS does not do.
    """
    found = []
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parent, started = int(fields[1]), int(fields[19]) / os.sysconf("SC_CLK_TCK")
            if parent != emulator.pid or uptime - started < up_seconds:
                continue
            names = (folder / "environ").read_bytes().split(b"\0")
            name = next((n for n in names if n.startswith(b"AWS_LAMBDA_FUNCTION_NAME=")), b"")
            if name.decode().endswith(f"-{function}"):
                found.append(int(folder.name))
    return sorted(found)
