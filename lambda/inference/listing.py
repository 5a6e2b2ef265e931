"""Listing a caller's own requests, newest first, in pages that stay the same while new requests come.

    index of callers ---- up to 100 entries ----> records ----> those with a wanted status
         ^                                                            |
         +-------- until the page is full, or MAX_EXAMINED -----------+

A page begins after a position, not at a number: what is submitted meanwhile comes before the first page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from inference.requests import Record, Status
from inference.store.caller_index import CallerIndex, Position
from inference.store.request_table import GET_KEYS, RequestTable

MAX_EXAMINED = 5 * GET_KEYS
"""Records that are read for one page. A rare status may leave it short, or empty: it has a next page all the same."""


class Filter(NamedTuple):
    """What a caller wants to see; None: all."""

    statuses: Collection[Status] | None = None
    model: str | None = None


class Page(NamedTuple):
    """Some requests, and where the next page begins; None: there is none."""

    records: Sequence[Record]
    next: Position | None


class Listing:
    """Lists requests."""

    def __init__(self, index: CallerIndex, table: RequestTable) -> None:
        self._index = index
        self._table = table

    def page(self, caller: str, wanted: Filter, limit: int, after: Position | None, now: int) -> Page:
        """One page of a caller's requests, newest first.

        Args:
            limit: at most so many requests.
            after: the `next` of the page before; None: the first page.
            now: epoch milliseconds.

        Raises:
            Unavailable: the table did not answer.
        """
        found: list[Record] = []
        examined = 0
        while True:
            most = GET_KEYS if wanted.statuses or wanted.model else limit - len(found)
            entries, end = self._index.page(caller, after, most, wanted.model)
            records = {record.request_id: record for record in self._table.get_many([id for _, id in entries])}
            for number, entry in enumerate(entries, 1):
                record = records.get(entry.request_id)
                if record is not None and _is_shown(record, entry, caller, wanted, now):
                    found.append(record)
                if len(found) == limit:
                    return Page(found, entry if end or number < len(entries) else None)
            examined += most
            after = end
            if after is None or examined >= MAX_EXAMINED:
                return Page(found, after)


def _is_shown(record: Record, entry: Position, caller: str, wanted: Filter, now: int) -> bool:
    if record.caller != caller or record.submitted_at != entry.submitted_at or record.deleted_at(now):
        return False
    return wanted.statuses is None or record.status_at(now) in wanted.statuses
