"""A model's own libraries: a folder with what its requirements.txt needs beyond .venv, independent of other models.

    build/libraries/<digest>/    installed once for each content of a requirements.txt, and shared by equal ones

Installing one removes folders that were not used for KEPT_SECONDS.

pip reports what is missing in .venv, and only that is installed. Locally a worker's zip names the folder (in
libraries.txt of the model's folder), which is then first on its path. In an image, install.sh does the same.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.console import BUILD, ROOT, CommandError, note
from scripts.local import emulator

REQUIREMENTS = "requirements.txt"
FOLDER = BUILD / "libraries"

KEPT_SECONDS = 2 * emulator.LIFETIME_SECONDS
"""By then no emulator runs any more to which a zip that names the folder was deployed."""

_OTHER_FILES = ("-r", "-c", "-e", "--requirement", "--constraint", "--editable")


def libraries_of(*folders: Path, training: bool = False) -> Path | None:
    """Folder with the libraries of model folders, installed when they are not there yet; None where they name none.

    Args:
        folders: the model folders; of several, one version of each library that suits all.
        training: with those of training/requirements.txt, found together: one version of each.

    Raises:
        CommandError: pip can't resolve or install them.
    """
    paths = [path for folder in folders for path in (folder / REQUIREMENTS, folder / "training" / REQUIREMENTS)]
    if not training:
        paths = [path for path in paths if path.parent in folders]
    paths = [path for path in paths if path.is_file()]
    wanted = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    if not wanted:
        return None
    target = FOLDER / _key(wanted)
    if target.is_dir():
        os.utime(target)  # this is a use
        return target
    note(
        f"installing the libraries of {', '.join(folder.name for folder in folders)} ({', '.join(map(str, paths))}) ..."
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".part-") as work:
        part = Path(work) / "libraries"
        part.mkdir()
        missing = _missing(paths)
        if missing:
            pinned = Path(work) / "pinned.txt"
            pinned.write_text("\n".join([*_options(wanted), *missing]) + "\n", encoding="utf-8")
            _pip(paths, "install", "--no-deps", "--target", str(part), "-r", str(pinned))
        part.rename(target)
    os.utime(target)
    _remove_unused()
    return target


def _remove_unused() -> None:
    """Remove what no run has used for long; the time of a folder is that of its last use."""
    oldest = time.time() - KEPT_SECONDS
    for path in FOLDER.iterdir():
        if path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)  # another run may be removing it


def _key(wanted: str) -> str:
    """Depends on the requirements, the Python version, and the requirements of .venv."""
    base = (ROOT / "pyproject.toml").read_bytes() if (ROOT / "pyproject.toml").is_file() else b""
    parts = (wanted.encode(), str(sys.implementation.cache_tag).encode(), base)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _missing(paths: Sequence[Path]) -> list[str]:
    """What would have to be installed beside this interpreter's packages, pinned."""
    named = [argument for path in paths for argument in ("-r", str(path))]
    report: dict[str, Any] = json.loads(_pip(paths, "install", "--dry-run", "--report", "-", *named))
    found = []
    for item in report["install"]:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        found.append(f"{name} @ {item['download_info']['url']}" if item["is_direct"] else f"{name}=={version}")
    return sorted(found)


def _options(wanted: str) -> list[str]:
    """The lines that say where packages come from, such as --extra-index-url."""
    lines = [line.strip() for line in wanted.splitlines()]
    return [line for line in lines if line.startswith("-") and not line.startswith(_OTHER_FILES)]


def _pip(paths: Sequence[Path], *arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "it printed nothing")
        named = " and ".join(map(str, paths))
        models = len({path.parent.parent if path.parent.name == "training" else path.parent for path in paths})
        apart = ". Models of one pool have one set of libraries: put those that can't share it into another pool"
        remedy = "Correct the file, or allow access to the index" + (apart if models > 1 else "")
        raise CommandError(f"pip can't install the requirements of {named}: {said}. {remedy}")
    return done.stdout
