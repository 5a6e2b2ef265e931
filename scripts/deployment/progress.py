"""Run a Terraform command with -json, and print one line for each finished resource.

https://developer.hashicorp.com/terraform/internals/machine-readable-ui
"""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.console import note
from scripts.deployment.terraform_errors import Message

SILENCE_SECONDS = 9.0  # Terraform reports every 10 s what is in progress

INTERRUPTED = 130  # as in shells

_DONE = {"create": "creation", "update": "modification", "delete": "destruction"}


class Progress:
    """Selects which of Terraform's messages are shown."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._shown_at = time.monotonic()

    def shown(self, message: Mapping[str, Any]) -> str | None:
        """The line to print for a message, if any."""
        text = self._text(message)
        if text is not None:
            self._shown_at = time.monotonic()
        return text

    def _text(self, message: Mapping[str, Any]) -> str | None:
        kind = message.get("type")
        if kind == "change_summary" and message["changes"]["operation"] == "plan":
            changes = message["changes"]
            self._total = changes["add"] + changes["change"] + changes["remove"]
            return str(message["@message"])
        hook = message.get("hook", {})
        if kind == "apply_complete" and hook["action"] in _DONE:  # data sources are not in the plan's numbers
            self._done += 1
            return f"{self._count()} {_address(hook)}: {_DONE[hook['action']]} took {hook['elapsed_seconds']}s"
        if kind == "apply_progress" and time.monotonic() - self._shown_at > SILENCE_SECONDS:
            return f"{self._count()} {_address(hook)}: {hook['action']} not done after {hook['elapsed_seconds']}s"
        return None

    def _count(self) -> str:
        return f"{self._done:3} of {self._total}"


def _address(hook: Mapping[str, Any]) -> str:
    return str(hook["resource"]["addr"]).removeprefix("module.stack.")


def run(command: Sequence[str], env: Mapping[str, str], log: Path) -> tuple[int, str]:
    """Run a command whose arguments contain -json; its output is written to `log`. Returns exit code and errors.

    The exit code is INTERRUPTED where it failed after Ctrl-C, which Terraform got too.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    errors: list[str] = []
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
                    message = Message.parse(line)
                    file.write(f"{message.text}\n")
                    if message.is_error:
                        errors.append(message.text)
                    elif (text := progress.shown(message.fields)) is not None:
                        print(text, flush=True)
                break
            except KeyboardInterrupt:
                interrupted = True
                note("interrupted: Terraform got the signal too and is writing its state")
    code = INTERRUPTED if interrupted and process.returncode else process.returncode
    return code, "\n\n".join(errors)
