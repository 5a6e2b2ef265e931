"""Payloads as a worker sees them: the input of a message, with what it refers to, and the files of a result.

resolve       the input: from the message or its object, with JSON uploads in the places of their references
(the schema is checked)
hand_over     the files in it, as bytes, a path or a stream, as the model's manifest asks
(the model predicts)
store         the files of the result, before the outcome is written: a result never refers to what is not there
drop          the files of an attempt whose outcome was rejected
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from inference.errors import InvalidInput, InvalidReference, NotJson, Unavailable
from inference.references import is_reference, upload_id_of, upload_ids, with_references_replaced
from inference.requests import Message, Record
from inference.sources import ObjectChanged, Source, is_input_reference
from inference.store.payloads import (
    JSON,
    Bucket,
    FileInfo,
    StoredObject,
    files_to_json,
    request_key,
    upload_key,
)
from inference.strict_json import parse_input
from worker.files import ObjectFile, OpenFiles, download, read_all, stream
from worker.input_files import with_files
from worker.model import places

MAX_BYTES = 256 * 2**20
"""A file that the model gets as bytes, and an upload of JSON: larger ones would end the worker by its memory."""

MAX_DEPTH = 100
"""The nesting of an uploaded document; the most that the API's own limit can be set to."""


class InputUnavailable(Exception):
    """An input could not be read. `retryable`: S3 did not answer; else an object is not there any more."""

    def __init__(self, message: str, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


@dataclass(frozen=True)
class OutputFile:
    """A file of a result; `sha256` is in hex."""

    content: bytes
    sha256: str
    content_type: str


@dataclass(frozen=True)
class Resolved:
    """An input without references to JSON; `known` are the uploads that the request itself refers to."""

    value: Any
    known: frozenset[str]


class WorkerPayloads:
    """Reads inputs and writes results.

    Args:
        bucket: the payload bucket.
        sources: gives the bucket of an object that a trigger's event named, by its name; None: there are no triggers.
    """

    def __init__(self, bucket: Bucket, sources: Callable[[str], Bucket] | None = None) -> None:
        self._bucket = bucket
        self._sources = sources

    def resolve(self, message: Message, files: Mapping[str, str]) -> Resolved:
        """The input of a message. Costs nothing where all of it is in the message.

        Args:
            files: the manifest's `input_files`. The input is changed in their places, and in those of references; so it
                is copied, because a failed request keeps the message's.

        Raises:
            InvalidInput: an upload that should be JSON is not.
            InputUnavailable: an object could not be read.
        """
        value = deepcopy(message.input) if files or message.owner is not None else message.input
        if message.stored_input is not None:
            stored = self._get(request_key(message.request_id, message.stored_input))
            value = parse_input(stored.content, stored.bytes, MAX_DEPTH)
        if message.owner is None:
            return Resolved(value, frozenset())
        known = frozenset(upload_ids(value))
        owner = message.owner
        return Resolved(with_references_replaced(value, lambda reference: self._json_of(reference, owner)), known)

    def _json_of(self, reference: Any, owner: str) -> Any:
        """The JSON that a reference stands for, or the reference, if it stands for a file."""
        path, key = reference["$ref"], upload_key(owner, upload_id_of(reference))
        first = self._get(key, last=0)
        if first.content_type != JSON:
            return reference
        if first.bytes > MAX_BYTES:
            raise InvalidInput(f"{path} has {first.bytes:,} bytes of JSON; at most {MAX_BYTES:,} can be read")
        try:
            return parse_input(self._get(key).content, first.bytes, MAX_DEPTH)
        except NotJson as error:
            raise InvalidInput(f"{path}: {error}") from error

    def hand_over(self, resolved: Resolved, message: Message, files: Mapping[str, str], opened: OpenFiles) -> Any:
        """The input with its files, in place.

        Args:
            message: says whose uploads, and which object, the input may refer to.
            files: place -> how the model gets it: the manifest's `input_files`.
            opened: keeps the files until the model has predicted.

        Raises:
            InvalidInput: a file is not base64, too large, or where the manifest declares none.
            InputUnavailable: an object could not be read, or the disk is full.
        """

        def of_reference(found: Any, place: str, kind: str) -> Any:
            if message.source is not None and is_input_reference(found):
                source = Source.from_json(message.source)
                return _file(self._object(source), source.url, place, kind, opened)
            file = ObjectFile(self._bucket, _known_key(found, place, resolved, message.owner))
            return _file(file, found["$ref"], place, kind, opened)

        value = with_files(resolved.value, files, opened, of_reference)
        self._reject_others(value, resolved.known)
        return value

    def with_links(self, resolved: Resolved, message: Message, files: Mapping[str, str], seconds: int) -> Any:
        """The input with links in place of its uploads and of a trigger's object, for a model that runs elsewhere;
        base64 stays as it is.

        Args:
            message: says whose uploads, and which object, the input may refer to.
            files: the manifest's `input_files`.
            seconds: how long the links are valid; at most as long as the credentials that sign them.

        Raises:
            InvalidInput: an upload is where the manifest declares none.
            InputUnavailable: the object is in a bucket without versions: its link could give another content.
        """
        value = resolved.value
        for place in files:

            def link(found: Any, place: str = place) -> Any:
                if not is_reference(found):
                    return found
                if message.source is not None and is_input_reference(found):
                    return {"$ref": self._link(Source.from_json(message.source), seconds)}
                return {"$ref": self._bucket.download_link(_known_key(found, place, resolved, message.owner), seconds)}

            value = places.replace_at(value, places.parse(place), link)
        self._reject_others(value, resolved.known)
        return value

    def _reject_others(self, value: Any, known: frozenset[str]) -> None:
        def reject(reference: Any) -> Any:
            path = reference["$ref"]
            if isinstance(path, str) and path.removeprefix("/uploads/") in known:
                raise InvalidInput(f"{path} is a file, in a place where this model takes none")
            return reference

        if known:
            with_references_replaced(value, reject)

    def _object(self, source: Source) -> ObjectFile:
        return ObjectFile(self._bucket_of(source), source.key, source.pin)

    def _link(self, source: Source, seconds: int) -> str:
        if source.version_id is None:
            text = (
                f"{source.url} is in a bucket without versions: a link to it could give another object. Turn them on."
            )
            raise InputUnavailable(text, retryable=False)
        return self._bucket_of(source).download_link(source.key, seconds, source.version_id)

    def _bucket_of(self, source: Source) -> Bucket:
        if self._sources is None:
            raise InputUnavailable(f"This worker reads no objects of triggers, such as {source.url}.", retryable=True)
        return self._sources(source.bucket)

    def _get(self, key: str, last: int | None = None) -> StoredObject:
        try:
            found = self._bucket.get(key, last=last)
        except Unavailable as error:
            raise InputUnavailable("The input could not be read: S3 did not answer.", retryable=True) from error
        if found is None:
            raise InputUnavailable("The input, or a part of it, was erased.", retryable=False)
        return found

    def store(self, request_id: str, attempt: int, files: Sequence[OutputFile]) -> str | None:
        """Write the files of a result. Returns the record's `files`, or None if there are none. Raises Unavailable."""
        written = []
        for number, file in enumerate(files):
            info = FileInfo(f"attempt-{attempt}/{number}", len(file.content), file.sha256, file.content_type)
            self._bucket.put(request_key(request_id, info.name), file.content, file.content_type)
            written.append(info)
        return files_to_json(written) if written else None

    def drop(self, request_id: str, attempt: int, count: int, current: Record | None, written: str) -> None:
        """Delete the files of an attempt whose outcome was rejected, unless they are those of the current record: a
        retry of the client finds what its own first try has written. The lifecycle deletes what this can't."""
        if current is not None and current.files == written:
            return
        for number in range(count):
            with suppress(Unavailable):
                self._bucket.delete(request_key(request_id, f"attempt-{attempt}/{number}"))


def _known_key(reference: Any, place: str, resolved: Resolved, owner: str | None) -> str:
    """The key of an upload that the request itself refers to. Raises InvalidInput for another."""
    try:
        upload_id = upload_id_of(reference)
    except InvalidReference as error:  # of a document that was uploaded: the API has rejected it in the input itself
        raise InvalidInput(f"{place}: {error}") from error
    if owner is None or upload_id not in resolved.known:
        raise InvalidInput(f"{place}: references in an uploaded document are not followed")
    return upload_key(owner, upload_id)


def _file(file: ObjectFile, name: str, place: str, kind: str, opened: OpenFiles) -> Any:
    """A file that is an object, as the model gets it; `name` is for people. Raises as `hand_over`."""
    try:
        size = file.size()
        if kind == "stream":
            return opened.keep(stream(file, size))
        if kind == "path":
            return download(file, size, opened.new_path())
        if size > MAX_BYTES:
            raise InvalidInput(f"{place}: {name} has {size:,} bytes; this model takes at most {MAX_BYTES:,}")
        return read_all(file, size)
    except Unavailable as error:
        raise InputUnavailable(f"{name} could not be read: S3 did not answer.", retryable=True) from error
    except ObjectChanged as error:
        text = f"{name} was overwritten after the event that named it. The new object has requests of its own."
        raise InputUnavailable(text, retryable=False) from error
    except FileNotFoundError as error:
        raise InputUnavailable(f"{name} was deleted.", retryable=False) from error
    except OSError as error:
        text = f"{name} could not be kept on the worker's disk ({error.strerror}); raise ephemeral_storage_mb."
        raise InputUnavailable(text, retryable=True) from error
