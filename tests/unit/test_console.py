"""How a command's failure reaches the user: one line, never a traceback."""

import errno
import os
from pathlib import Path

import pytest

from scripts.console import Failure, run


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "Permission denied: make it writable for you, or use a clone of your own"),
        (
            errno.EROFS,
            "Read-only file system: the file system is read-only; clone the repository to where you may write",
        ),
        (errno.ENOSPC, "No space left on device: the disk is full"),
        (errno.EISDIR, "Is a directory"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(
    number: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> int:
        raise OSError(number, os.strerror(number), str(tmp_path))

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: {said}\n"


def test_a_failure_ends_with_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise Failure("no such thing: make one", 3)

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 3
    assert capsys.readouterr().err == "error: no such thing: make one\n"
