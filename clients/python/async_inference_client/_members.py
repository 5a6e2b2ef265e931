"""Reads members of the API's documents."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def number_of(found: Any) -> int | None:
    """A whole number; None for anything else."""
    return found if isinstance(found, int) else None


def time_of(document: Mapping[str, Any], name: str) -> datetime | None:
    """A time in ISO 8601; None if there is none. Raises ValueError, which names the member."""
    found = document.get(name)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} of the status document is not a time: {found!r}") from error
