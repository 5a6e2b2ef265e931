"""Results in S3: written from the table's stream, after the outcome that they tell of.

    outcome in the table -> stream -> files, then the document that names them -> the stream goes on

A crash anywhere leaves the stream's position before the event: the same is written again, with the same content. The
record is read anew, so a late event writes what holds now. Of two events of one key, an object that was overwritten,
the document of the later one stays: it says which event it is of, and is replaced only by one of the same event or a
later one.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from inference.description import describe
from inference.errors import Unavailable
from inference.intake.triggers import Results, Trigger
from inference.requests import FINAL, Record
from inference.sources import Source
from inference.store.payloads import FileInfo, files_of, request_key
from inference.store.request_table import RequestTable
from inference.store.results_place import Written
from inference.telemetry import Telemetry

MAX_KEY_BYTES = 1_024
"""Of a key in S3."""

_TYPES = mimetypes.MimeTypes()  # Python's own; those of the system differ between machines

MAX_TRIES = 5
"""To write a document while others write the same."""

_SHOWN = (
    *("request_id", "status", "model", "model_version", "result", "error"),
    *("attempts", "submitted_at", "started_at", "finished_at"),
)


class Place(Protocol):
    """Where results are written: `store.results_place.ResultsPlace`."""

    def written(self, bucket: str, key: str) -> Written | None: ...
    def copy(self, from_key: str, bucket: str, key: str, content_type: str) -> bool: ...
    def write(self, bucket: str, key: str, content: bytes, sequencer: str, before: Written | None) -> bool: ...


class Writer:
    """Handles the records of a stream's event: those of requests that became final, and whose results are wanted."""

    def __init__(
        self, triggers: Mapping[str, Trigger], table: RequestTable, place: Place, telemetry: Telemetry
    ) -> None:
        self._triggers = triggers
        self._table = table
        self._place = place
        self._telemetry = telemetry

    def handle(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns the sequence number of the first record that was not handled, if there is one: Lambda repeats the
        batch from there."""
        for record in records:
            change = record["dynamodb"]
            request_id = change["Keys"]["request_id"]["S"]
            try:
                self._handle(request_id)
            except Unavailable as error:
                self._telemetry.error("results_not_written", error, request_id=request_id)
                return [str(change["SequenceNumber"])]
        return []

    def _handle(self, request_id: str) -> None:
        record = self._table.get(request_id, consistent=True)
        if record is None or record.status not in FINAL or record.source is None:
            self._skip(request_id, "it was erased, or is replayed")
            return
        trigger = self._triggers.get(record.results_of or "")
        if trigger is None or trigger.results is None:
            self._skip(request_id, "its trigger is gone, or writes no results any more")
            return
        source = Source.from_json(record.source)
        stem = f"{trigger.results.prefix}{source.key}/{record.model}"
        names = [(file, f"{stem}-{index}.{_ending(file)}") for index, file in enumerate(files_of(record))]
        document = f"{stem}.json"
        if max(len(key.encode()) for key in (document, *(key for _, key in names))) > MAX_KEY_BYTES:
            reason = "the key of its results would have more than 1,024 bytes"
            self._telemetry.error("results_refused", request_id=request_id, source=source.url, reason=reason)
            return
        for _ in range(MAX_TRIES):
            before = self._place.written(trigger.results.bucket, document)
            if before is not None and _is_later(before.sequencer, source.sequencer):
                self._skip(request_id, "a later object of this key has its results there")
                return
            if not self._copy(record, names, trigger.results):
                self._skip(request_id, "its files were erased")
                return
            content = _document(record, source, names)
            if self._place.write(trigger.results.bucket, document, content, source.sequencer, before):
                fields = {"request_id": request_id, "files": len(names)}
                self._telemetry.info("results_written", **fields, key=f"s3://{trigger.results.bucket}/{document}")
                return
        raise Unavailable(f"s3://{trigger.results.bucket}/{document} was written by others {MAX_TRIES} times")

    def _copy(self, record: Record, names: Sequence[tuple[FileInfo, str]], results: Results) -> bool:
        return all(
            self._place.copy(request_key(record.request_id, file.name), results.bucket, key, file.content_type)
            for file, key in names
        )

    def _skip(self, request_id: str, reason: str) -> None:
        self._telemetry.info("results_skipped", request_id=request_id, reason=reason)


def _document(record: Record, source: Source, names: Sequence[tuple[FileInfo, str]]) -> bytes:
    described = describe(record, record.finished_at or 0)
    files = [
        {"key": key, "bytes": file.bytes, "sha256": file.sha256, "content_type": file.content_type}
        for file, key in names
    ]
    shown = {name: described[name] for name in _SHOWN}
    whole = {**shown, "parent_id": record.batch_id, "source": source._asdict(), "files": files}
    return json.dumps(whole, allow_nan=False, indent=2).encode()


def _ending(file: FileInfo) -> str:
    """A part of its digest, so that a key always has the same content, and the usual ending of its type."""
    ending = _TYPES.guess_extension(file.content_type) or ".bin"
    return file.sha256[:12] + ending


def _is_later(one: str, other: str) -> bool:
    """Whether an event comes after another one of the same key: sequencers are hexadecimal, the shorter one is filled
    up with zeros at its end."""
    width = max(len(one), len(other))
    return one.lower().ljust(width, "0") > other.lower().ljust(width, "0")
