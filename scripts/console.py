"""What every command shares: where the repository is, and how a failure reaches the user."""

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


class Failure(Exception):
    """An error for the user: one line that names the thing and the remedy; never a traceback."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def note(message: str) -> None:
    """Say what is going on, on stderr, so that stdout stays for results."""
    print(message, file=sys.stderr, flush=True)


def run(main: Callable[[], int]) -> None:
    """Run a command's main function and exit with its code."""
    try:
        code = main()
    except Failure as failure:
        note(f"error: {failure}")
        code = failure.code
    except OSError as error:
        note(f"error: {_told(error)}")
        code = 1
    except KeyboardInterrupt:
        note("interrupted")
        code = 130
    raise SystemExit(code)


def _told(error: OSError) -> str:
    if error.filename is None:
        return str(error)
    remedy = ": make it writable, or remove it" if isinstance(error, PermissionError) else ""
    return f"{error.filename}: {error.strerror}{remedy}"
