"""What every way of submitting does with an input before its record is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.catalog import CatalogEntry
from inference.errors import InvalidInput
from inference.store.payloads import Payloads


def check_input(
    entry: CatalogEntry, value: Any, references: Sequence[str], caller: str, now: int, payloads: Payloads
) -> Any:
    """The input with its schema's defaults, if it is valid. One that refers to JSON is validated by the worker, which
    has the JSON. `references`: the uploads that it refers to.

    Raises:
        InvalidInput, InvalidReference: it is not valid.
        Unavailable: S3 did not answer.
    """
    if references and payloads.has_json(references, caller, now):
        return value
    try:
        return entry.validate(value)
    except InvalidInput as error:
        raise InvalidInput(f"The input violates the schema of '{entry.name}': {error}.") from error
