"""What reading costs where the table has many records, by arithmetic: nothing here is measured.

A sweep reads the entries of the requests that came since the last one in the index `open`, each with its record, and
looks at those that are followed. A page of a list reads entries of one caller, and their records. Neither depends on
how many records there are.
"""

from __future__ import annotations

import math

from inference.store.request_table import GET_KEYS, SHARDS
from scripts.cost.requests import GB, INDEX_ENTRY_BYTES, LIST_ENTRY_BYTES, READ_UNIT_BYTES

RECORD_BYTES = 1_000
"""Of a record with a small result, with the 100 bytes that DynamoDB adds."""

EVENTUAL = 0.5
"""Read units of an eventually consistent read, of each 4 KB begun."""


def sweep_read_units(passed: int, followed: int) -> float:
    """Read units of one sweep: how far sweeps have come, queries for each shard, and each request's record, for what it
    passes eventually consistent."""
    record = math.ceil(RECORD_BYTES / READ_UNIT_BYTES)
    return 1 + _entries(passed) + _entries(followed) + (EVENTUAL * passed + followed) * record


def _entries(count: int) -> float:
    """Read units of the index's entries of so many requests; an empty answer is half a unit too."""
    each = math.ceil(math.ceil(count / len(SHARDS)) * INDEX_ENTRY_BYTES / READ_UNIT_BYTES)
    return len(SHARDS) * EVENTUAL * max(each, 1)


def list_read_units(entries: int = GET_KEYS) -> float:
    """Read units of one page of a list that looks at so many of the caller's requests."""
    index = EVENTUAL * math.ceil(entries * LIST_ENTRY_BYTES / READ_UNIT_BYTES)
    return index + entries * EVENTUAL * math.ceil(RECORD_BYTES / READ_UNIT_BYTES)


def stored_gb(records: int) -> float:
    """What the table and its indexes of callers and for the sweep keep."""
    return records * (RECORD_BYTES + LIST_ENTRY_BYTES + INDEX_ENTRY_BYTES) / GB
