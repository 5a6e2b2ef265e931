"""What a user sees of an apply to the emulator."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment import progress, terraform_process

API = "module.stack.module.api.aws_lambda_function.this"
ROLE = 'module.stack.module.worker["sentiment"].aws_iam_role.this'


def hook(kind: str, address: str, action: str, seconds: int) -> dict[str, Any]:
    fields = {"resource": {"addr": address}, "action": action, "elapsed_seconds": seconds}
    return {"@level": "info", "@message": f"{address}: {kind}", "type": kind, "hook": fields}


def summary(operation: str) -> dict[str, Any]:
    changes = {"add": 2, "change": 0, "import": 0, "remove": 1, "operation": operation}
    return {"@level": "info", "@message": f"{operation}: 2, 0, 1", "changes": changes, "type": "change_summary"}


LOCKED = {
    "@level": "error",
    "@message": "Error: Error acquiring the state lock",
    "type": "diagnostic",
    "diagnostic": {
        "severity": "error",
        "summary": "Error acquiring the state lock",
        "detail": "Somebody has it.",
        "address": API,
        "range": {"filename": "main.tf", "start": {"line": 3}},
        "snippet": {"context": 'variable "x"', "code": '  variable "x" {}'},
    },
}
LOCKED_TEXT = f"""\
Error: Error acquiring the state lock
  with {API}
  on main.tf line 3, in variable "x"
    variable "x" {{}}
Somebody has it."""

SAID = [
    {"@level": "info", "@message": "Terraform 1.11.4", "type": "version"},
    summary("plan"),
    hook("apply_start", API, "create", 0),
    hook("apply_complete", API, "create", 3),
    hook("apply_complete", "data.aws_iam_policy_document.queue", "read", 0),
    hook("apply_progress", ROLE, "delete", 10),
    hook("apply_complete", ROLE, "delete", 11),
    hook("apply_complete", "aws_sqs_queue.this", "update", 1),
    summary("apply"),
]
SHOWN = [
    "plan: 2, 0, 1",
    "  1 of 3 module.api.aws_lambda_function.this: creation took 3s",
    '  2 of 3 module.worker["sentiment"].aws_iam_role.this: destruction took 11s',
    "  3 of 3 aws_sqs_queue.this: modification took 1s",
]


def program(code: int, *messages: dict[str, Any] | str) -> list[str]:
    """A command that prints these lines and ends with this code."""
    lines = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    source = "import sys; print(sys.argv[1]); sys.exit(int(sys.argv[2]))"
    return [sys.executable, "-c", source, "\n".join(lines), str(code)]


def test_each_resource_has_one_line_and_the_log_has_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "new" / "apply.log"
    assert progress.run(program(0, *SAID), {}, log) == (0, "")
    assert capsys.readouterr().out.splitlines() == SHOWN
    assert log.read_text().splitlines() == [message["@message"] for message in SAID]


def test_an_error_is_shown_with_its_place(tmp_path: Path) -> None:
    log = tmp_path / "apply.log"
    assert progress.run(program(1, SAID[0], LOCKED), {}, log) == (1, LOCKED_TEXT)
    assert log.read_text() == f"Terraform 1.11.4\n{LOCKED_TEXT}\n"


@pytest.mark.parametrize("line", ["panic: out of memory", "[1, 2]", '"text"', "7", "null"])
def test_a_line_that_is_no_message_is_shown_as_it_is(tmp_path: Path, line: str) -> None:
    assert progress.run(program(2, line), {}, tmp_path / "apply.log") == (2, line)


def test_a_warning_is_no_error(tmp_path: Path) -> None:
    warning = {
        **LOCKED,
        "@level": "warn",
        "diagnostic": {"severity": "warning", "summary": "Deprecated", "detail": ""},
    }
    assert progress.run(program(0, warning), {}, tmp_path / "apply.log") == (0, "")
    assert (tmp_path / "apply.log").read_text() == "Warning: Deprecated\n"


def test_a_long_wait_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", -1.0)
    text = progress.Progress().shown(hook("apply_progress", API, "create", 20))
    assert text == "  0 of 0 module.api.aws_lambda_function.this: create not done after 20s"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_known_failure_ends_with_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    log = tmp_path / "log"
    assert terraform_process.stream(program(1, LOCKED), {}, "local", quiet=quiet, log=log) == 1
    shown = capsys.readouterr().err
    assert (LOCKED_TEXT in shown) is not quiet
    assert str(log) in shown
    assert shown.splitlines()[-1].startswith("error: the state of local is locked")


def test_an_unknown_failure_is_shown_even_when_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert terraform_process.stream(program(1, "panic: x"), {}, "local", quiet=True, log=tmp_path / "log") == 1
    assert "panic: x" in capsys.readouterr().err


def test_ctrl_c_lets_terraform_end_and_is_told_by_the_exit_code(tmp_path: Path) -> None:
    """The program sends the signal to us, as a terminal sends it to both, and then says one thing more."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with & ignores it
    source = (
        "import os, signal, sys, time; time.sleep(0.2); "
        "os.kill(os.getppid(), signal.SIGINT); time.sleep(0.2); print('state written'); sys.exit(1)"
    )
    try:
        code, output = progress.run([sys.executable, "-c", source], {}, tmp_path / "log")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == progress.INTERRUPTED
    assert output == "state written"
