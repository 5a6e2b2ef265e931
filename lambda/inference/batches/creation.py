"""The batches function: makes the items of a batch from its file, and cancels those of a large one.

    message -> read the batch -> claim it (lease) -> steps, each with one write of the batch's record -> message deleted

    checking --all lines valid--> creating --a hundred lines a step--> created
        |                            |  \\--file gone, a line not valid any more, deadline--> failed
        |                            \\--cancelled--> (items are cancelled) stopped
        \\--lines not valid--> rejected          \\--file gone, deadline--> failed

The record decides what is done; a message only starts it. Items' ids follow from the batch's seed and their index, and
are created conditionally: a step that is done twice creates nothing twice. When the time is nearly over, the lease is
given back and the message returns to the queue. What a crash leaves is in docs/adr/0016-batches-from-files.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from inference.batches import transitions
from inference.batches.items import MAX_ERROR_CHARACTERS, Item, cancel_items, checked_item, create_items
from inference.batches.lines import LineReader, TooLongLine
from inference.batches.record import CHUNK, DEADLINE_PASSED, BatchRecord, Stage
from inference.catalog import Catalog, CatalogEntry
from inference.errors import InvalidInput, InvalidReference, NotJson, Unavailable, UnknownModel
from inference.requests import Status, new_request_id
from inference.store.batch_queue import batch_id_of
from inference.store.batch_table import BatchTable
from inference.store.payloads import Payloads
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.strict_json import parse_input
from inference.telemetry import Telemetry
from inference.transitions import Update

LINES_CHECKED = 100
"""Together, before the record says how far the check has come."""

MAX_ERRORS = 50
"""That the record has; all are counted."""

MAX_RUNS = 5
"""Invocations in a row that complete no step; then the batch fails."""

NOT_CHECKED = "The lines after the last one of these were not checked."
GONE = "The uploaded file is gone: it was erased, or is past its retention. Upload it again, and submit it again."
CHANGED_SECONDS = 1
UNAVAILABLE_SECONDS = 30

Clock = Callable[[], int]


class Hider(Protocol):
    """What sets messages' visibility: `RequestQueue`."""

    def set_visibility(self, delays: Mapping[str, int]) -> Sequence[str]: ...


class FileLimits(NamedTuple):
    """What a file may have: lines, blank ones included, and bytes and depth of each."""

    max_lines: int
    max_line_bytes: int
    max_depth: int


class _Gone(Exception):
    """The file is not there any more."""


class _LeaseLost(Exception):
    """The record has another lease, or is gone: another invocation works on the batch."""


class Creation:
    """Works on batches from files.

    Args:
        queues: model name -> its queue.
        queue: the messages' queue.
    """

    def __init__(
        self,
        batches: BatchTable,
        table: RequestTable,
        queues: Callable[[str], RequestQueue],
        catalog: Catalog,
        payloads: Payloads,
        queue: Hider,
        limits: FileLimits,
        telemetry: Telemetry,
    ) -> None:
        self._batches = batches
        self._table = table
        self._queues = queues
        self._catalog = catalog
        self._payloads = payloads
        self._queue = queue
        self._limits = limits
        self._telemetry = telemetry

    def handle(
        self, records: Sequence[Mapping[str, Any]], lease_until: int, clock: Clock, time_left: Callable[[], bool]
    ) -> list[str]:
        """Handle an SQS event. Returns the ids of the messages that must not be deleted.

        Args:
            lease_until: epoch milliseconds after which this invocation surely changes nothing more.
            time_left: whether there is time for another step.
        """
        kept: dict[str, int] = {}
        names: list[str] = []
        for record in records:
            seconds = self._handle(record["body"], lease_until, clock, time_left)
            if seconds is not None:
                names.append(record["messageId"])
                kept[record["receiptHandle"]] = seconds
        if kept and (missed := self._queue.set_visibility(kept)):
            self._telemetry.warning("visibility_not_set", messages=len(missed))
        return names

    def _handle(self, body: str, lease_until: int, clock: Clock, time_left: Callable[[], bool]) -> int | None:
        """Returns the seconds until the message comes back; None: it is deleted."""
        batch_id = batch_id_of(body)
        if batch_id is None:
            self._telemetry.error("message_unreadable", reason="it is no message about a batch", body=body[:2000])
            return None
        try:
            return self._work(batch_id, lease_until, clock, time_left)
        except _LeaseLost:
            self._telemetry.info("message_returned", batch_id=batch_id, reason="changed meanwhile")
            return CHANGED_SECONDS
        except Unavailable as error:
            self._telemetry.error("batch_postponed", error, batch_id=batch_id, seconds=UNAVAILABLE_SECONDS)
            return UNAVAILABLE_SECONDS

    def _work(self, batch_id: str, lease_until: int, clock: Clock, time_left: Callable[[], bool]) -> int | None:
        batch = self._batches.get(batch_id, consistent=True)
        now = clock()
        if batch is None or batch.upload is None:
            self._telemetry.info("message_dropped", batch_id=batch_id, reason="no batch from a file")
            return None
        if not batch.has_work:
            self._delete_file(batch)
            self._telemetry.info("message_dropped", batch_id=batch_id, reason=f"{batch.stage} already")
            return None
        if (batch.lease_until or 0) >= now:
            seconds = ((batch.lease_until or 0) - now) // 1000 + 1
            self._telemetry.info("message_returned", batch_id=batch_id, reason="leased", seconds=seconds)
            return seconds
        batch = self._applied(transitions.claim(batch, new_request_id(), lease_until, now))
        if batch.runs > MAX_RUNS:
            text = f"{MAX_RUNS} invocations in a row were stopped in one step, after line {batch.line} of the file."
            batch = self._fail(batch, f"{text} Send fewer, or smaller, inputs in one file.", now)
        reader = self._reader(batch)
        try:
            while batch.has_work:
                if not time_left():
                    self._telemetry.info("batch_continues", batch_id=batch_id, stage=batch.stage, line=batch.line)
                    self._batches.apply(transitions.release(batch))
                    return 0
                batch = self._step(batch, reader, clock())
        except Unavailable:
            with suppress(Unavailable):  # else the next invocation waits until the lease ends
                self._batches.apply(transitions.release(batch))
            raise
        self._delete_file(batch)
        return None

    def _step(self, batch: BatchRecord, reader: LineReader, now: int) -> BatchRecord:
        if batch.cancelled_at is not None:
            return self._cancel(batch, now)
        if batch.expires_at <= now:
            return self._fail(batch, DEADLINE_PASSED, now)
        try:
            entry = self._catalog.entry(batch.model)
            step = self._check if batch.stage == Stage.CHECKING else self._create
            return step(batch, entry, reader, now)
        except _Gone:
            return self._fail(batch, GONE, now)
        except UnknownModel:
            return self._fail(batch, f"The model '{batch.model}' was removed from the deployment.", now)

    # The first pass

    def _check(self, batch: BatchRecord, entry: CatalogEntry, reader: LineReader, now: int) -> BatchRecord:
        errors = json.loads(batch.errors or "[]")
        line, items, count = batch.line, batch.accepted, batch.error_count
        after, last, stopped = batch.position, False, None

        def note(detail: str) -> None:
            nonlocal count
            count += 1
            if len(errors) < MAX_ERRORS:
                errors.append({"index": items, "line": line, "detail": detail[:MAX_ERROR_CHARACTERS]})

        try:
            lines, after, last = reader.lines(batch.position, LINES_CHECKED)
        except TooLongLine:
            line += 1
            note(f"The line has more than {self._limits.max_line_bytes:,} bytes.")
            stopped = NOT_CHECKED
            lines = []
        for text in lines:
            line += 1
            if line > self._limits.max_lines:
                note(f"At most {self._limits.max_lines:,} lines are accepted, blank ones included.")
                stopped = NOT_CHECKED
                break
            if not text.strip():
                continue
            try:
                self._item(batch, entry, text)
            except (NotJson, InvalidInput, InvalidReference) as error:
                note(str(error))
            items += 1
        if last and not items:
            note("The file has no line that is not blank.")
        told = json.dumps(errors, separators=(",", ":"))
        if stopped is None and not last:
            return self._applied(transitions.checked(batch, after, line, items, count, told))
        if count == 0:
            return self._applied(transitions.checked_all(batch, items))
        failure = f"{count:,} of the lines are not valid: no item was created."
        failure = f"{failure} {stopped}" if stopped else failure
        rejected = self._applied(transitions.reject(batch, line, items, count, told, failure, now))
        fields = {"model": batch.model, "errors": count, "lines": line}
        self._telemetry.info("batch_file_rejected", batch_id=batch.batch_id, **fields)
        return rejected

    def _item(self, batch: BatchRecord, entry: CatalogEntry, text: bytes) -> Item:
        value = parse_input(text, self._limits.max_line_bytes, self._limits.max_depth)
        # The time of the submit: what it refers to must not become too old while the file is worked on.
        return checked_item(entry, value, batch.caller, batch.submitted_at, self._payloads)

    # The second pass

    def _create(self, batch: BatchRecord, entry: CatalogEntry, reader: LineReader, now: int) -> BatchRecord:
        lines, after, _ = reader.lines(batch.position, CHUNK)
        line, items = batch.line, []
        for text in lines:
            line += 1
            if not text.strip():
                continue
            try:
                items.append(self._item(batch, entry, text))
            except (NotJson, InvalidInput, InvalidReference) as error:
                detail = f"Line {line} is not valid any more: {str(error)[:MAX_ERROR_CHARACTERS]}"
                return self._fail(batch, f"{detail} Items of the lines from {batch.line + 1} on were not created.", now)
        numbered = list(enumerate(items, batch.accepted))
        create_items(batch, numbered, self._table, self._payloads, self._queues, created_at=now)
        accepted = batch.accepted + len(items)
        batch = self._applied(transitions.created(batch, after, line, accepted, now))
        if batch.stage == Stage.CREATED:
            self._telemetry.info("batch_created", batch_id=batch.batch_id, model=batch.model, items=batch.total)
        return batch

    # Ends

    def _cancel(self, batch: BatchRecord, now: int) -> BatchRecord:
        """Cancel some items more. Those of the step that a cancel has stopped may exist, beyond `accepted`."""
        most = 0 if batch.stage == Stage.CHECKING else min(batch.accepted + CHUNK, batch.total)
        end = min(batch.cancelled_to + CHUNK, most)
        ids = batch.item_ids(batch.cancelled_to, end)
        cancelled = cancel_items(self._table, ids, now) if ids else 0
        for _ in range(cancelled):
            self._telemetry.count_outcome(batch.model, Status.CANCELLED)
        batch = self._applied(transitions.cancelled(batch, end, end == most, now))
        if batch.stage == Stage.STOPPED:
            self._telemetry.info("batch_stopped", batch_id=batch.batch_id, items=most)
        return batch

    def _fail(self, batch: BatchRecord, failure: str, now: int) -> BatchRecord:
        failed = self._applied(transitions.fail(batch, failure, now))
        self._telemetry.error("batch_failed", batch_id=batch.batch_id, model=batch.model, reason=failure)
        return failed

    def _delete_file(self, batch: BatchRecord) -> None:
        """A copy of all inputs, which DELETE of an item would not erase."""
        if batch.upload is not None and batch.stage != Stage.REJECTED:
            self._payloads.delete_file(batch.upload, batch.caller)

    def _applied(self, update: Update) -> BatchRecord:
        batch = self._batches.apply(update)
        if batch is None:
            raise _LeaseLost
        return batch

    def _reader(self, batch: BatchRecord) -> LineReader:
        upload = batch.upload or ""

        def read(first: int, last: int) -> bytes:
            stored = self._payloads.read_file(upload, batch.caller, first, last)
            if stored is None:
                raise _Gone
            return stored.content

        return LineReader(read, batch.upload_bytes, self._limits.max_line_bytes)
