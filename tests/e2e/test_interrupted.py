"""Ctrl-C in an apply, and an emulator that was killed: `make up` goes on from both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from scripts.local.emulator import Emulator
from tests.e2e.conftest import free_port
from tests.e2e.loopback_only import SECONDS, ran

CREATED_BEFORE = 4  # lines of the progress: some things exist, most don't


def test_an_apply_goes_on_after_ctrl_c_and_after_the_emulator_was_killed(clone: Path) -> None:
    env = os.environ | {"EMULATOR_PORT": str(free_port())}

    def tool(*arguments: str) -> str:
        code, said = ran([sys.executable, "-m", *arguments], clone, env)
        assert code == 0, f"{arguments}: {said[-5000:]}"
        return said

    emulator = Emulator(folder=clone / "build" / "emulator")
    try:
        assert _interrupted_apply(clone, env) != 0
        tool("scripts.deployment.apply", "--env", "local")
        assert "positive" in tool("scripts.operate.predict", "what a lovely day")
        pid = emulator.pid
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        assert "has ended: starting with an empty one" in tool("scripts.deployment.apply", "--env", "local")
        assert "positive" in tool("scripts.operate.predict", "what a lovely day")
    finally:
        tool("scripts.local.emulator", "stop")


def _interrupted_apply(clone: Path, env: dict[str, str]) -> int:
    """The exit code of an apply whose whole process group gets SIGINT, as from a terminal, while it creates."""
    command = [sys.executable, "-m", "scripts.deployment.apply", "--env", "local"]
    with subprocess.Popen(
        command,
        cwd=clone,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        created = 0
        lines = []
        for line in process.stdout:
            lines.append(line)
            created += "creation took" in line
            if created == CREATED_BEFORE and "creation took" in line:
                os.killpg(process.pid, signal.SIGINT)
        process.wait(SECONDS)
    said = "".join(lines)
    assert "interrupted: Terraform got the signal too" in said, said[-5000:]
    return process.returncode
