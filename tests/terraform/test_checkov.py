"""checkov over terraform/; terraform/.checkov.yaml says what is skipped, and why."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.terraform.runner import ROOT, SOURCE

CONFIG = SOURCE / ".checkov.yaml"


def test_checkov(tmp_path: Path) -> None:
    # It pins an old boto3, so it has an environment of its own.
    checkov = ROOT / os.environ.get("CHECKOV", "build/checkov/bin/checkov")
    if not checkov.is_file():
        pytest.skip(f"no checkov at {checkov}: `make check` installs it, or set CHECKOV")
    done = subprocess.run(
        [checkov, "--directory", SOURCE, "--config-file", CONFIG],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_skipped_check_has_a_reason() -> None:
    lines = CONFIG.read_text().split("skip-check:\n")[1].splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  - "):
            assert "#" in line or re.match(r"  # ", lines[number - 1]), f"{line} has no reason"
