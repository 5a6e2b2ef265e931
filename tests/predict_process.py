"""`predict` as a process of its own, as a terminal starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from scripts.console import ROOT

DEADLINE_SECONDS = 120.0


def started(url: str, *arguments: str) -> subprocess.Popen[str]:
    """The process. Ctrl-C interrupts it, also where pytest was started with &, which ignores SIGINT."""
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.operate.predict", "--url", url, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(("clients/python", "."))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def ended(
    process: subprocess.Popen[str], seconds: float = DEADLINE_SECONDS
) -> tuple[int, list[dict[str, object]], str]:
    """Exit code, lines of results, and what was said on stderr."""
    with process:
        try:
            out, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()  # or leaving the block waits for it without end
            raise
    return process.returncode, [json.loads(line) for line in out.splitlines()], said


def journal_named_in(said: str) -> Path:
    """The journal of a run of many inputs, which stderr names."""
    (journal,) = set(re.findall(r"--resume (\S+\.jsonl)", said))
    return Path(journal)
