"""What every command shares: where the repository is, and how a failure reaches the user."""

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
    """An error for the user: one line that names the thing and the remedy; never a traceback."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def note(message: str) -> None:
    """Say what is going on, on stderr, so that stdout stays for results."""
    print(message, file=sys.stderr, flush=True)


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON for stdout: readable where it takes Unicode, escaped where a character would have to be replaced."""
    return json.dumps(value, indent=indent, ensure_ascii="utf" not in (sys.stdout.encoding or "").lower())


def argument_text(argument: str) -> str:
    """What the shell passed, read as UTF-8: in a POSIX locale Python has read it as ASCII."""
    return os.fsencode(argument).decode("utf-8", "replace")


def run(main: Callable[[], int]) -> None:
    """Run a command's main function and exit with its code.

    An error of the user's, of the disk or of AWS ends in one line; a traceback is a defect of ours.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # Terraform draws its errors: a terminal without UTF-8 is no reason to end
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
