"""The files of an input, as the model gets them: in place of base64, or of a reference, bytes, a path or a stream."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Mapping
from typing import Any

from inference.errors import InvalidInput
from inference.references import is_reference
from worker.files import OpenFiles
from worker.model import places

OfReference = Callable[[Any, str, str], Any]
"""Takes a reference, its place and how the model gets the file; returns the file that way."""


def with_files(value: Any, files: Mapping[str, str], opened: OpenFiles, of_reference: OfReference) -> Any:
    """The input with its files in their places. Lists and objects in it are changed in place.

    Args:
        files: place -> how the model gets it: the manifest's `input_files`.
        opened: keeps the files until the model has predicted.
        of_reference: reads the file of a reference.

    Raises:
        InvalidInput: a file is not base64; and what `of_reference` raises.
    """
    for place, kind in files.items():

        def hand(found: Any, place: str = place, kind: str = kind) -> Any:
            if isinstance(found, str):
                return as_file(decoded(found, place), kind, opened)
            return of_reference(found, place, kind) if is_reference(found) else found

        value = places.replace_at(value, places.parse(place), hand)
    return value


def decoded(text: str, place: str) -> bytes:
    """A file that is in the input as base64. Raises InvalidInput."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{place} is not valid base64") from error


def as_file(content: bytes, kind: str, opened: OpenFiles) -> Any:
    """A file's content as the model gets it: `bytes`, `path` or `stream`."""
    if kind == "stream":
        return opened.keep(io.BytesIO(content))
    if kind == "path":
        path = opened.new_path()
        path.write_bytes(content)
        return path
    return content
