"""The package of the faulty worker: the real one as it was built, and the injecting handler beside it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

HANDLER = "faulty_handler.handler"
_DATE = (1980, 1, 1, 0, 0, 0)


def add_faults(package: Path) -> Path:
    """Copy a worker's zip and add the injecting handler; the same bytes whenever the inputs are."""
    faulty = package.with_name(package.stem + "-faults.zip")
    shutil.copyfile(package, faulty)
    source = Path(__file__).with_name("faulty_handler.py")
    with zipfile.ZipFile(faulty, "a") as archive:
        archive.writestr(zipfile.ZipInfo(source.name, _DATE), source.read_bytes())
    return faulty
