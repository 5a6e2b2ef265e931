"""How a command's failure reaches the user: one line, never a traceback."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from scripts.console import CommandError, argument_text, as_json, run


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
        raise CommandError("no such thing: make one", 3)

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 3
    assert capsys.readouterr().err == "error: no such thing: make one\n"


def test_an_argument_is_utf8_in_every_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    assert argument_text("sch\u00f6n \u2603") == "sch\u00f6n \u2603"
    as_ascii = "sch\u00f6n".encode().decode("ascii", "surrogateescape")
    monkeypatch.setattr(os, "fsencode", lambda text: text.encode("ascii", "surrogateescape"))
    assert argument_text(as_ascii) == "sch\u00f6n"


@pytest.mark.parametrize(
    ("encoding", "text"), [("utf-8", '"\u00f6"'), ("ascii", '"\\u00f6"'), ("latin-1", '"\\u00f6"')]
)
def test_json_is_escaped_where_it_would_be_replaced(encoding: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert as_json("\u00f6") == text
