"""The files of an output: taken out of it, with a reference to the status document's `files` in their places."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.model import places
from worker.model.errors import OutputError
from worker.payloads import OutputFile


def with_files_apart(output: Any, declared: Mapping[str, str], files: list[OutputFile]) -> Any:
    """The output with references in the places of its files, which are added to `files`. The model's own output is
    changed in place.

    A file is bytes, or the path of a file, which is deleted when it was read. None stays: there is no file this time.

    Args:
        declared: place -> media type, the manifest's `output_files`.

    Raises:
        OutputError: something else is in the place of a file, or the file can't be read.
    """
    for place, content_type in declared.items():

        def take(found: Any, place: str = place, content_type: str = content_type) -> Any:
            if found is None:
                return None
            return json.loads(apart(_content(found, place), content_type, files))

        output = places.replace_at(output, places.parse(place), take)
    return output


def apart(content: bytes, content_type: str, files: list[OutputFile]) -> str:
    """Add a file. Returns the reference to it, as JSON."""
    files.append(OutputFile(content, hashlib.sha256(content).hexdigest(), content_type))
    return json.dumps({"$ref": f"#/files/{len(files) - 1}"})


def _content(found: Any, place: str) -> bytes:
    match found:
        case bytes() | bytearray() | memoryview():
            return bytes(found)
        case Path():
            try:
                content = found.read_bytes()
                found.unlink()
            except OSError as error:
                raise OutputError(f"{place} is the path {found}, which can't be read: {error.strerror}") from error
            return content
    raise OutputError(
        f"{place} is of type {type(found).__name__}; the manifest declares a file: return bytes or a Path"
    )
