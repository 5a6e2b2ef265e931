"""Shared by all commands: the repository's folders, and how errors are shown to the user."""

import errno
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


class CommandError(Exception):
    """An error for the user: one line with the cause and the remedy, without a traceback."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def note(message: str) -> None:
    """Print a message on stderr; stdout is for results."""
    print(message, file=sys.stderr, flush=True)


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON for stdout: with Unicode characters if stdout supports them, else escaped."""
    return json.dumps(value, indent=indent, ensure_ascii="utf" not in (sys.stdout.encoding or "").lower())


def argument_text(argument: str) -> str:
    """A command-line argument, decoded as UTF-8: in a POSIX locale Python decodes it as ASCII."""
    return os.fsencode(argument).decode("utf-8", "replace")


def run(main: Callable[[], int]) -> None:
    """Run a command's main function and exit with its code.

    Errors of the user, the disk or AWS are printed in one line; a traceback means a bug.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # Terraform's errors have box-drawing characters, which must not fail without UTF-8
    try:
        code = main()
    except CommandError as failure:
        note(f"error: {failure}")
        code = failure.code
    except OSError as error:
        note(f"error: {_describe_os_error(error)}")
        code = 1
    except KeyboardInterrupt:
        note("interrupted")
        code = 130
    except Exception as error:
        if not type(error).__module__.startswith("botocore."):
            raise
        from scripts.aws_errors import describe_aws_error  # the commands that call AWS have imported botocore already

        note(f"error: {describe_aws_error(error)}")
        code = 1
    raise SystemExit(code)


def _describe_os_error(error: OSError) -> str:
    if error.filename is None:
        return str(error)
    remedies = {
        errno.EACCES: ": make it writable for you, or use a clone of your own",
        errno.EPERM: ": make it writable for you, or use a clone of your own",
        errno.EROFS: ": the file system is read-only; clone the repository to where you may write",
        errno.ENOSPC: ": the disk is full",
    }
    return f"{error.filename}: {error.strerror}{remedies.get(error.errno or 0, '')}"
