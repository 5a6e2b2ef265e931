"""Payloads: whether an input or a result is inline or an object in the payload bucket. The rules see values only.

    requests/<request_id>/input-<random>.json       an input that does not fit in a message
    requests/<request_id>/attempt-<n>/<number>      a file of the result, or the whole of it (worker/payloads.py)
    uploads/<owner>/<upload id>                     what a caller has uploaded, to refer to it in inputs

Keys are made here, of ids that the API has made itself: nothing that a client sends is part of one, except an upload's
id, which is checked, behind its caller's own prefix. docs/adr/0012-large-payloads.md has the order of the writes, and
who deletes what is left when a process dies between two of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from inference.errors import InvalidReference, InvalidUpload, TooLarge, Unavailable
from inference.references import owner_of, reference_to
from inference.requests import Message, Record, new_request_id
from inference.sources import Pin

MAX_RESULT_BYTES = 350_000
"""A record may have 400 KB (DynamoDB's item limit); its other attributes are small."""

MAX_MESSAGE_BYTES = 250_000
"""A message may have 256 KiB (the queue's limit); ASCII escapes can make an input six times its size."""

REFERABLE_MS = 86_400_000
"""For how long after its upload an object can be referred to. Terraform adds this to the lifecycle of the bucket
(terraform/stack/payloads.tf), so that an object outlives every request that refers to it."""

JSON = "application/json"
JSON_LINES = ("application/jsonl", "application/x-ndjson")
"""The media types of a file that a batch is made of."""

MAX_ERASE_ROUNDS = 10
_MAX_TYPE_CHARACTERS = 127


class StoredObject(NamedTuple):
    """An object, or a part of it. `bytes`: of the whole; `modified`: epoch milliseconds."""

    content: bytes
    bytes: int
    content_type: str
    modified: int


class Link(NamedTuple):
    """A presigned request, and the headers that it must have."""

    url: str
    headers: Mapping[str, str]


class Bucket(Protocol):
    """What is used of the payload bucket. Each call raises Unavailable when S3 does not answer."""

    def put(self, key: str, content: bytes, content_type: str) -> None: ...
    def get(self, key: str, first: int = 0, last: int | None = None, pin: Pin | None = None) -> StoredObject | None:
        """The bytes from `first` to `last`, inclusive; None: there is no such object. An object without content has no
        parts: it is None too. `pin`: raises ObjectChanged if the key has another content now."""

    def delete(self, key: str) -> None: ...
    def keys(self, prefix: str) -> Sequence[str]:
        """The first thousand keys with this prefix."""

    def upload_link(self, key: str, content_type: str, size: int, seconds: int) -> Link: ...
    def download_link(self, key: str, seconds: int, version_id: str | None = None) -> str: ...


class Upload(NamedTuple):
    """An upload that may be made until `expires_at` (epoch milliseconds)."""

    upload_id: str
    link: Link
    expires_at: int


class FileInfo(NamedTuple):
    """A file of a result as the record has it: the name of its object, its size, SHA-256 (hex) and media type."""

    name: str
    bytes: int
    sha256: str
    content_type: str


def request_key(request_id: str, name: str = "") -> str:
    """The key of an object of a request; without a name, the prefix of all."""
    return f"requests/{request_id}/{name}"


def upload_key(owner: str, upload_id: str) -> str:
    """The key of an upload; `owner` is `references.owner_of` its caller."""
    return f"uploads/{owner}/{upload_id}"


def new_input_name() -> str:
    """Of a request's input: random, so that removing the object of a failed submit can't remove that of a later one
    with the same Idempotency-Key."""
    return f"input-{new_request_id()}.json"


def message_of(record: Record, value: Any) -> Message:
    """The message of a request; without the input, if that is an object."""
    return Message(
        record.request_id,
        record.model,
        value if record.stored_input is None else None,
        record.submitted_at,
        record.expires_at,
        record.attempt_limit,
        stored_input=record.stored_input,
        owner=owner_of(record.caller) if record.uploads else None,
        source=record.source,
    )


def placed(record: Record, value: Any) -> Record:
    """The record of a new request, which says where its input will be."""
    if len(message_of(record, value).to_body()) <= MAX_MESSAGE_BYTES:
        return record
    return record._replace(stored_input=new_input_name())


def encoded_input(value: Any) -> bytes:
    """An input as the content of an object."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def files_to_json(files: Sequence[FileInfo]) -> str:
    """The record's `files`."""
    return json.dumps([file._asdict() for file in files], separators=(",", ":"))


def files_of(record: Record) -> list[FileInfo]:
    """The files of a result."""
    return [FileInfo(**each) for each in json.loads(record.files or "[]")]


def objects_of(record: Record) -> list[str]:
    """The keys of a request's input: its own object and the uploads that it refers to."""
    own = [request_key(record.request_id, record.stored_input)] if record.stored_input else []
    owner = owner_of(record.caller)
    return own + [upload_key(owner, upload_id) for upload_id in (record.uploads or "").split()]


def file_links(bucket: Bucket, record: Record, seconds: int, now: int) -> list[dict[str, Any]]:
    """The files of a result with links that are valid for some seconds, as the API shows them; `expires_at` in epoch
    milliseconds."""
    return [
        {
            "url": bucket.download_link(request_key(record.request_id, file.name), seconds),
            "expires_at": now + seconds * 1000,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "content_type": file.content_type,
        }
        for file in files_of(record)
    ]


class Payloads:
    """The payloads of requests, as the api function and the operator's tools use them.

    Args:
        bucket: the payload bucket.
        link_seconds: for how long a link is valid.
        max_upload_bytes: of one upload.
    """

    def __init__(self, bucket: Bucket, link_seconds: int, max_upload_bytes: int) -> None:
        self._bucket = bucket
        self._link_seconds = link_seconds
        self._max_upload_bytes = max_upload_bytes

    # Uploads

    def uploads_url(self) -> str:
        """What the link of every upload begins with. Raises Unavailable."""
        return self._bucket.download_link("uploads/", self._link_seconds).partition("?")[0]

    def new_upload(self, caller: str, content_type: Any, size: Any, now: int) -> Upload:
        """A presigned upload of exactly this size and media type. It can be made once.

        Raises:
            InvalidUpload: the size or the type is not one.
            TooLarge: the size is above the limit.
        """
        if isinstance(size, float) and size.is_integer():
            size = int(size)  # 5.0 is an integer in JSON
        if type(size) is not int or size < 1:
            raise InvalidUpload("'bytes' must be the size of the upload: a whole number of at least 1.")
        if size > self._max_upload_bytes:
            detail = f"The upload has {size:,} bytes; at most {self._max_upload_bytes:,} are accepted."
            raise TooLarge(detail)
        if not _is_media_type(content_type):
            raise InvalidUpload("'content_type' must be a media type without parameters, such as image/png.")
        upload_id = new_request_id()
        key = upload_key(owner_of(caller), upload_id)
        link = self._bucket.upload_link(key, content_type, size, self._link_seconds)
        return Upload(upload_id, link, now + self._link_seconds * 1000)

    def has_json(self, upload_ids: Sequence[str], caller: str, now: int) -> bool:
        """Check that the uploads are there. Returns whether one of them is JSON, which the worker puts in its place.

        Raises:
            InvalidReference: one is not there, not the caller's, or too old.
            Unavailable: S3 did not answer.
        """
        found_json = False
        for upload_id in upload_ids:
            found_json = self._referable(upload_id, caller, now).content_type == JSON or found_json
        return found_json

    def _referable(self, upload_id: str, caller: str, now: int) -> StoredObject:
        """The first byte of an upload that can be referred to, with the facts of the whole."""
        stored = self._bucket.get(upload_key(owner_of(caller), upload_id), last=0)
        path = reference_to(upload_id)["$ref"]
        if stored is None:
            raise InvalidReference(f"There is no upload {path}: it was not made yet, was erased, or is not yours.")
        if stored.modified + REFERABLE_MS <= now:
            hours = REFERABLE_MS // 3_600_000
            raise InvalidReference(f"{path} is more than {hours} hours old: upload it again.")
        return stored

    # Files of batches

    def check_file(self, upload_id: str, caller: str, now: int) -> int:
        """Check that an upload can become a batch. Returns its size in bytes.

        Raises:
            InvalidReference: it is not there, not the caller's, too old, or of another media type.
            Unavailable: S3 did not answer.
        """
        stored = self._referable(upload_id, caller, now)
        if stored.content_type not in JSON_LINES:
            path, kind = reference_to(upload_id)["$ref"], stored.content_type
            detail = f"{path} is '{kind}'; the file of a batch has to be uploaded as {' or '.join(JSON_LINES)}."
            raise InvalidReference(detail)
        return stored.bytes

    def read_file(self, upload_id: str, caller: str, first: int, last: int | None) -> StoredObject | None:
        """A part of an upload, from its first byte to its last one, inclusive; None: it is gone. Raises Unavailable."""
        return self._bucket.get(upload_key(owner_of(caller), upload_id), first, last)

    def delete_file(self, upload_id: str, caller: str) -> None:
        """Delete an upload whose batch has its items. Raises Unavailable."""
        self._bucket.delete(upload_key(owner_of(caller), upload_id))

    # Inputs

    def keep_input(self, record: Record, value: Any) -> None:
        """Write the object of an input that is not inline; nothing for one that is. Raises Unavailable."""
        if record.stored_input is not None:
            self._bucket.put(request_key(record.request_id, record.stored_input), encoded_input(value), JSON)

    def drop_input(self, record: Record) -> None:
        """Delete the object of a submit that failed; if that fails too, the bucket's lifecycle deletes it."""
        if record.stored_input is not None:
            with suppress(Unavailable):
                self._bucket.delete(request_key(record.request_id, record.stored_input))

    # Results

    def links(self, record: Record, now: int) -> list[dict[str, Any]]:
        """The files of a result with links: see `file_links`."""
        return file_links(self._bucket, record, self._link_seconds, now)

    # Erasing

    def erase(self, record: Record) -> None:
        """Delete every object of a request, the uploads that it refers to included. Repeating it is safe.

        Raises:
            Unavailable: S3 did not answer, or did not delete; some objects may be left.
        """
        for key in objects_of(record):
            self._bucket.delete(key)
        for _ in range(MAX_ERASE_ROUNDS):
            keys = self._bucket.keys(request_key(record.request_id))
            if not keys:
                return
            for key in keys:
                self._bucket.delete(key)
        raise Unavailable(f"the objects of {record.request_id} are not all deleted yet")


def _is_media_type(text: Any) -> bool:
    """Whether a text is type/subtype of RFC 9110's tokens, in lower case: it becomes a header's value."""
    if not isinstance(text, str) or len(text) > _MAX_TYPE_CHARACTERS:
        return False
    kind, slash, subtype = text.partition("/")
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+")
    return bool(slash and kind and subtype) and set(kind + subtype) <= allowed
