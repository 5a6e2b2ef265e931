"""Run a Terraform command: pass its output on, with the remedies of known errors, or read it."""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from scripts.console import note
from scripts.deployment import progress
from scripts.deployment.shell import without_arguments
from scripts.deployment.terraform_errors import remedy


def stream(command: Sequence[str], env: Mapping[str, str], name: str, *, quiet: bool = False, log: Path | None) -> int:
    """Run a command and pass its output on; for known errors, print the remedy.

    With a log file (the command has -json): only progress and errors; everything is in the file. Quiet: if the remedy
    is known, only the remedy.
    """
    if log is None:
        colour = [] if sys.stdout.isatty() else ["-no-color"]
        code, errors = _pass_on([*command[:3], *colour, *command[3:]], env)
    else:
        code, errors = progress.run(command, env, log)
    known = remedy(errors, name) if code else None
    if log is not None:
        if code and not (quiet and known):
            note(errors)
        if code or not quiet:
            note(f"Terraform's whole output: {log}")
    if known:
        note(f"error: {known}")
    return code


def capture(command: Sequence[str], env: Mapping[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command whose output is read, without the arguments that the caller's shell adds. `text` is its input."""
    return subprocess.run(
        command,
        env=without_arguments(env),
        input=text,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _pass_on(command: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Run with the caller's terminal, and collect stderr. Returns exit code and errors."""
    errors: list[str] = []
    with subprocess.Popen(
        command, env=dict(env), stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        reader = threading.Thread(target=_copy, args=(process.stderr, errors))
        reader.start()
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = process.wait()  # Terraform got the signal too: let it write its state
        reader.join()
    return code, "".join(errors)


def _copy(source: TextIO, lines: list[str]) -> None:
    for line in source:
        lines.append(line)
        sys.stderr.write(line)
        sys.stderr.flush()
