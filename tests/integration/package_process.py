"""A worker's package as Lambda starts it: unpacked, in a process of its own, nothing of the repository on its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.packaging.package import build

CONTEXT = """
class Context:
    aws_request_id = "invocation-1"
    def get_remaining_time_in_millis(self): return 30000
"""
"""What handlers read of Lambda's context; a script begins with it."""


def unpacked_worker(folder: Path, models: Path, source: str, *, rooms: Sequence[str] = ()) -> Path:
    """Build the worker's zip of one model folder, and unpack it."""
    packages = build(folder / "zips", [models], [source], rooms=rooms)
    with zipfile.ZipFile(packages.workers[source]) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run_script(
    package: Path, script: str, environment: Mapping[str, str], events: Sequence[Any] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a script with the package alone on its path; the events are JSON on its stdin."""
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(events),
        env=inherited | dict(environment),
        cwd=package,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
