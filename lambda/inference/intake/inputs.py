"""The input of a trigger's request: what the trigger gives for the model, and the object in its place.

What can be wrong with one model's input concerns its request alone: it fails, and the others go on.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from inference.batches.items import Item
from inference.catalog import Catalog
from inference.errors import InvalidInput, InvalidReference
from inference.intake.triggers import Trigger
from inference.references import upload_ids
from inference.sources import Source, input_reference

BYTES = "bytes"
"""How a model gets a file that is wholly in its worker's memory."""

SHARE_OF_MEMORY = 4
"""An object that a model gets as bytes may have a quarter of its worker's memory: it is there twice at times."""

_PARTS = re.compile(r"\[\]|[^.\[\]]+")


class Unsuitable(Exception):
    """The object can't be an input of this model; the text is for a person."""


def input_of(trigger: Trigger, model: str, source: Source, catalog: Catalog, memory_mb: int) -> Item:
    """The input of a model's request.

    Args:
        memory_mb: of the model's worker.

    Raises:
        Unsuitable: it violates the model's schema, is empty or too large, or the model takes no file there.
    """
    entry, packaged = catalog.entry(model), catalog.packaged(model)
    place = trigger.place or next(iter(packaged.input_files), None)
    kind = packaged.input_files.get(place or "")
    if place is None or kind is None:
        raise Unsuitable(f"The model '{model}' takes no file in the place '{place}'.")
    if source.bytes == 0:
        raise Unsuitable(f"{source.url} is empty.")
    most = memory_mb * 2**20 // SHARE_OF_MEMORY
    if kind == BYTES and source.bytes > most:
        detail = f"{source.url} has {source.bytes:,} bytes; '{model}' takes at most {most:,}, a quarter of its memory"
        raise Unsuitable(f"{detail}. Raise memory_mb, or let the manifest ask for a path or a stream.")
    try:
        value = deepcopy(trigger.input.get(model, {}))
        upload_ids(value)  # raises: only the intake puts a reference into this input
        return Item(entry.validate(with_object(value, place)), ())
    except (InvalidInput, InvalidReference) as error:
        raise Unsuitable(f"The input of '{model}' is not valid: {error}") from error


def with_object(value: Any, place: str) -> Any:
    """The value with the reference to the object at a place, as `worker.model.places` has them: `image`, `pages[]`."""
    return _with(value, _PARTS.findall(place))


def _with(value: Any, parts: list[str]) -> Any:
    if not parts:
        return input_reference()
    first, rest = parts[0], parts[1:]
    if first == "[]":
        return [_with(None, rest)]
    members = value if isinstance(value, dict) else {}
    return {**members, first: _with(members.get(first), rest)}
