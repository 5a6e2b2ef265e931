"""How a command's failure reaches the user: one line, never a traceback."""

from pathlib import Path

import pytest

from scripts.console import Failure, run


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: Permission denied: make it writable, or remove it\n"


def test_a_failure_ends_with_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise Failure("no such thing: make one", 3)

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 3
    assert capsys.readouterr().err == "error: no such thing: make one\n"
