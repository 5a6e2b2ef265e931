"""Run Terraform with one line for each resource that is done, in the place of the hundreds that it prints."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.console import note

SILENCE_SECONDS = 9.0  # Terraform tells every 10 s what it is still at

INTERRUPTED = 130  # as a shell has it

_PLAN = re.compile(r"Plan: (\d+) to add, (\d+) to change, (\d+) to destroy|No changes\.")
_DONE = re.compile(r"(?:module\.stack\.)?(\S.*): (Creation|Modifications|Destruction) complete after (\S+)")
_AT_WORK = re.compile(
    r"(?:module\.stack\.)?(\S.*): Still (creating|modifying|destroying)\.\.\. \[(?:.*, )?(\S+) elapsed\]"
)


class Progress:
    """Chooses what to show of Terraform's lines."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._shown_at = time.monotonic()

    def shown(self, line: str) -> str | None:
        """What the user sees of a line, if anything."""
        text = self._text(line.strip())
        if text is not None:
            self._shown_at = time.monotonic()
        return text

    def _text(self, line: str) -> str | None:
        if plan := _PLAN.match(line):
            self._total = sum(map(int, filter(None, plan.groups())))
            return line
        if done := _DONE.match(line):
            self._done += 1
            return f"{self._count()} {done[1]}: {done[2].lower()} took {done[3]}"
        if (at_work := _AT_WORK.match(line)) and time.monotonic() - self._shown_at > SILENCE_SECONDS:
            return f"{self._count()} {at_work[1]}: still {at_work[2]} after {at_work[3]}"
        return None

    def _count(self) -> str:
        return f"{self._done:3} of {self._total}"


def run(command: Sequence[str], env: Mapping[str, str], log: Path) -> tuple[int, str]:
    """Run the command; all it prints goes to `log`, and to the user where it fails. Returns exit code and output.

    The exit code is INTERRUPTED where it failed after Ctrl-C, which Terraform got too.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    lines: list[str] = []
    interrupted = False
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
        ) as process,
    ):
        assert process.stdout is not None
        while True:
            try:
                for line in process.stdout:
                    lines.append(line)
                    file.write(line)
                    if (text := progress.shown(line)) is not None:
                        print(text, flush=True)
                break
            except KeyboardInterrupt:
                interrupted = True
                note("interrupted: Terraform got the signal too, and writes its state")
    output = "".join(lines)
    if process.returncode:
        sys.stderr.write(output)
    note(f"all that Terraform said: {log}")
    return (INTERRUPTED if interrupted and process.returncode else process.returncode), output
