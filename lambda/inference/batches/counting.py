"""What became of a batch's items: read from their own records, a bounded number of them with each query.

A query reads at most `CHUNKS_READ` chunks that have not ended: half of them are the first ones, since items run about
in their order, and half are chosen by chance, so that one slow item keeps no other from being counted. Chunks that have
ended are kept in the batch's record, and are not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from inference.batches import transitions
from inference.batches.progress import NOT_CREATED, Tally, chunks_of, ended_chunks, ended_to_json, tally_of
from inference.batches.record import CHUNK, UNFINISHED, BatchRecord, Stage
from inference.errors import Unavailable
from inference.requests import Record
from inference.store.batch_table import BatchTable
from inference.store.request_table import RequestTable

CHUNKS_READ = 20
"""Of one query. Each is one BatchGetItem of a hundred records: 50 read units, if none has more than 4 KB."""

Choose = Callable[[Sequence[int], int], Sequence[int]]


def _by_chance(chunks: Sequence[int], count: int) -> Sequence[int]:
    import random  # only large batches need it, and each start of the api function would pay for it

    return random.sample(chunks, count)


class Shown(NamedTuple):
    """A batch as it is at one moment, and the items that were asked for: index and record, None if it was erased.

    Attributes:
        counted: how many items are in the tally.
        now: the moment, epoch milliseconds.
    """

    batch: BatchRecord
    tally: Tally
    items: Sequence[tuple[int, Record | None]]
    counted: int
    now: int

    @property
    def finished(self) -> bool:
        """Whether nothing of the batch changes any more: all items that it will ever have are final. What was announced
        as finished stays so, also while an operator's replay runs an item again."""
        if self.batch.finished_at is not None:
            return True
        stage = self.batch.stage_at(self.now)
        return stage not in UNFINISHED and self.tally.open == 0 and self.counted == self.batch.total

    @property
    def status(self) -> str:
        """As the API shows it."""
        stage = self.batch.stage_at(self.now)
        if stage in UNFINISHED:
            return str(stage)
        if not self.finished:
            return "running"
        if stage == Stage.REJECTED:
            return str(stage)
        return "failed" if stage == Stage.FAILED or self.batch.failure is not None else "finished"

    @property
    def finished_at(self) -> int | None:
        """When it was finished, in epoch milliseconds."""
        if not self.finished:
            return None
        if self.tally.open or self.counted != self.batch.total:
            return self.batch.finished_at
        return max(self.tally.finished_at, self.batch.settled_at or 0) or self.batch.finished_at


class Counting:
    """Shows batches. `choose` picks so many of some chunks by chance."""

    def __init__(self, batches: BatchTable, table: RequestTable, choose: Choose = _by_chance) -> None:
        self._batches = batches
        self._table = table
        self._choose = choose

    def show(self, batch: BatchRecord, now: int, start: int = 0, limit: int = 0, exact: bool = False) -> Shown:
        """What became of a batch's items, and some of them from an index on. `exact`: all items are counted, and as
        they are after every write before this call.

        Raises:
            Unavailable: the table did not answer.
        """
        end = min(start + limit, batch.created_to)
        ids = batch.item_ids(start, end) if start < end else []
        found = self._records(ids, with_results=True, consistent=exact)
        ended = ended_chunks(batch)
        known = len(ended)
        total, counted = Tally(), 0
        missing = [chunk for chunk in chunks_of(batch) if chunk not in ended]
        for chunk in sorted({*ended, *(missing if exact else self._chosen(missing))}):
            tally = ended.get(chunk)
            if tally is None:
                tally, last = self._tally(batch, chunk, found, now, exact)
                if last:
                    ended[chunk] = tally
            total.add(tally)
            counted += sum(tally.counts.values())
        never = batch.total - batch.created_to
        total.counts[NOT_CREATED] += never
        if len(ended) > known and batch.total > CHUNK:
            with suppress(Unavailable):  # they are read again with the next query
                self._batches.apply(transitions.keep_ended(batch, ended_to_json(ended)))
        items = [(start + place, found.get(request_id)) for place, request_id in enumerate(ids)]
        return Shown(batch, total, items, counted + never, now)

    def _chosen(self, chunks: Sequence[int]) -> Sequence[int]:
        if len(chunks) <= CHUNKS_READ:
            return chunks
        first = CHUNKS_READ // 2
        return [*chunks[:first], *self._choose(chunks[first:], CHUNKS_READ - first)]

    def _tally(
        self, batch: BatchRecord, chunk: int, found: Mapping[str, Record], now: int, exact: bool
    ) -> tuple[Tally, bool]:
        start, end = chunk * CHUNK, min((chunk + 1) * CHUNK, batch.created_to)
        ids = batch.item_ids(start, end)
        records = found if found.keys() >= set(ids) else self._records(ids, consistent=exact)
        there = [records[request_id] for request_id in ids if request_id in records]
        not_created = max(end - max(start, batch.accepted), 0) if batch.stage is not None else 0
        tally, last = tally_of(there, len(ids), now, not_created)
        # While items are created, the last chunk may get more.
        return tally, last and (batch.stage not in UNFINISHED or len(ids) == CHUNK)

    def _records(self, ids: Sequence[str], with_results: bool = False, consistent: bool = False) -> dict[str, Record]:
        """The records of some items; one that an eventually consistent read did not find is read again."""
        found = {record.request_id: record for record in self._table.get_many(ids, with_results, consistent)}
        missing = [request_id for request_id in ids if request_id not in found]
        if missing and not consistent:
            again = self._table.get_many(missing, with_results, consistent=True)
            found |= {record.request_id: record for record in again}
        return found
