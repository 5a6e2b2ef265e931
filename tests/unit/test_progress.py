"""What a user sees of an apply to the emulator."""

import sys
from pathlib import Path

import pytest

from scripts import progress

SAID = """\
Terraform will perform the following actions:
  # module.stack.module.api.aws_lambda_function.this will be created
Plan: 2 to add, 0 to change, 1 to destroy.
module.stack.module.api.aws_lambda_function.this: Creating...
module.stack.module.api.aws_lambda_function.this: Creation complete after 3s [id=inference-local-api]
module.stack.module.worker["sentiment"].aws_iam_role.this: Still destroying... [id=a b, 00m10s elapsed]
module.stack.module.worker["sentiment"].aws_iam_role.this: Destruction complete after 11s
Outputs:
api_url = "https://abc.execute-api.us-east-1.amazonaws.com"
"""
SHOWN = [
    "Plan: 2 to add, 0 to change, 1 to destroy.",
    "  1 of 3 module.api.aws_lambda_function.this: creation took 3s",
    '  2 of 3 module.worker["sentiment"].aws_iam_role.this: destruction took 11s',
]


def ran(log: Path, code: int) -> tuple[int, str]:
    program = "import sys; print(sys.argv[1], end=''); sys.exit(int(sys.argv[2]))"
    return progress.run([sys.executable, "-c", program, SAID, str(code)], {}, log)


def test_each_resource_has_one_line_and_the_log_has_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "new" / "apply.log"
    assert ran(log, 0) == (0, SAID)
    assert capsys.readouterr().out.splitlines() == SHOWN
    assert log.read_text() == SAID


def test_a_failure_shows_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(tmp_path / "apply.log", 1) == (1, SAID)
    assert SAID in capsys.readouterr().err


def test_a_long_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", -1.0)
    line = "module.stack.module.q.aws_sqs_queue.this: Still creating... [00m20s elapsed]"
    assert progress.Progress().shown(line) == "  0 of 0 module.q.aws_sqs_queue.this: still creating after 00m20s"


def test_ctrl_c_lets_terraform_end_and_is_told_by_the_exit_code(tmp_path: Path) -> None:
    """The program sends the signal to us, as a terminal sends it to both, and then says one thing more."""
    program = (
        "import os, signal, sys, time; time.sleep(0.2); "
        "os.kill(os.getppid(), signal.SIGINT); time.sleep(0.2); print('state written'); sys.exit(1)"
    )
    code, output = progress.run([sys.executable, "-c", program], {}, tmp_path / "log")
    assert code == progress.INTERRUPTED
    assert output.endswith("state written\n")
