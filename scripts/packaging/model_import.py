"""Import a model's model.py as a worker does, in a process of its own, with that model's libraries.

python -m scripts.packaging.model_import FOLDER [LIBRARIES]       if it fails: one line on stderr, exit code 1
"""

import hashlib
import subprocess
import sys
import traceback
from pathlib import Path

from scripts.console import BUILD, ROOT, CommandError, note

SECONDS = 300
"""The first import of a large library reads hundreds of megabytes from the disk."""

_DONE = BUILD / "imported"


def check_import(folder: Path, libraries: Path | None) -> None:
    """Import model.py of a model folder; not again until the sources change.

    Raises:
        CommandError: it can't be imported, or has no model class; with file and line.
    """
    stamp = _DONE / _digest(folder, libraries)
    if stamp.is_file():
        return
    command = [
        sys.executable,
        "-m",
        "scripts.packaging.model_import",
        str(folder),
        *([str(libraries)] if libraries else []),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{folder / 'model.py'}: the import did not end within {SECONDS} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = lines[-1] if lines else f"the import ended the process with exit code {done.returncode}"
        raise CommandError(said if done.returncode == 1 and lines else f"{folder / 'model.py'}: {said}")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()


def place_of(error: BaseException, folder: Path) -> str:
    """File and line of an error: the last one in the model folder, or model.py if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(folder)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else str(folder / "model.py")


def describe_error(error: BaseException, folder: Path) -> str:
    """One line with place, error and remedy."""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    text = f"{place_of(error, folder)}: {type(error).__name__}: {' '.join(said.split())}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{text}. If it is a library, add it to {folder / 'requirements.txt'}"
    return text


def _digest(folder: Path, libraries: Path | None) -> str:
    digest = hashlib.sha256(f"{folder}\0{libraries}\0{sys.implementation.cache_tag}".encode())
    for path in (*sorted(folder.glob("**/*.py")), *sorted((ROOT / "worker" / "model").rglob("*.py"))):
        digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def main() -> int:
    """Command line of this module, which `check_import` runs."""
    folder = Path(sys.argv[1]).resolve()
    sys.path[:0] = sys.argv[2:3]
    from worker.model.errors import ModelError
    from worker.model.loaded import model_class

    try:
        model_class(folder)
    except ModelError as error:
        note(str(error))
    except BaseException as error:  # SystemExit too: it would stop a worker
        note(describe_error(error, folder))
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
