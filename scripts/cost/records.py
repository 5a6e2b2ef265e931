"""What reading costs where the table has many records, by arithmetic: nothing here is measured.

A sweep reads the entries that are older than its grace time in the index of open requests, and then each of their
records. A page of a list reads entries of one caller, and their records. Neither depends on how many records there are.
"""

from __future__ import annotations

import math

from inference.store.request_table import GET_KEYS, SHARDS
from scripts.cost.requests import GB, LIST_ENTRY_BYTES, READ_UNIT_BYTES

OPEN_ENTRY_BYTES = 200
"""Of an entry in the index of open requests: 100 bytes that DynamoDB adds; shard, time and id, with their names."""

RECORD_BYTES = 1_000
"""Of a record with a small result, with the 100 bytes that DynamoDB adds."""

EVENTUAL = 0.5
"""Read units of an eventually consistent read, of each 4 KB begun."""


def sweep_read_units(old: int) -> float:
    """Read units of one sweep that looks at so many open requests: a query for each shard, then each record."""
    each = math.ceil(math.ceil(old / len(SHARDS)) * OPEN_ENTRY_BYTES / READ_UNIT_BYTES)
    return len(SHARDS) * EVENTUAL * max(each, 1) + old * math.ceil(RECORD_BYTES / READ_UNIT_BYTES)


def list_read_units(entries: int = GET_KEYS) -> float:
    """Read units of one page of a list that looks at so many of the caller's requests."""
    index = EVENTUAL * math.ceil(entries * LIST_ENTRY_BYTES / READ_UNIT_BYTES)
    return index + entries * EVENTUAL * math.ceil(RECORD_BYTES / READ_UNIT_BYTES)


def stored_gb(records: int) -> float:
    """What the table and its index of callers keep."""
    return records * (RECORD_BYTES + LIST_ENTRY_BYTES) / GB
