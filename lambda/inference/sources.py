"""The object in S3 that an event named: what a request of a trigger has as its input, and how it is read as it was.

A message and a record have the reference only. It is read by its version where the bucket has versions, and always with
its entity tag: an object that was overwritten since is not there any more, and never becomes another request's input.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

REFERENCE = "/source"
"""In an input, `{"$ref": "/source"}` stands for the object. Only the intake writes it: the API takes references to
uploads alone."""


class ObjectChanged(Exception):
    """An object in S3 was overwritten since the event that named it. Never raised to callers of the API."""


class Pin(NamedTuple):
    """Which content of a key is meant: its entity tag, and its version where the bucket has versions."""

    etag: str
    version_id: str | None = None


class Source(NamedTuple):
    """An object as its event described it.

    Attributes:
        bucket, key: where it is; the key as it is, not encoded.
        etag: its entity tag, without quotes.
        bytes: its size.
        sequencer: hexadecimal; orders the events of one key.
        version_id: None in a bucket without versions.
    """

    bucket: str
    key: str
    etag: str
    bytes: int
    sequencer: str
    version_id: str | None = None

    @property
    def pin(self) -> Pin:
        return Pin(self.etag, self.version_id)

    @property
    def url(self) -> str:
        """For people."""
        return f"s3://{self.bucket}/{self.key}"

    def to_json(self) -> str:
        """As records and messages have it."""
        return json.dumps({name: value for name, value in self._asdict().items() if value is not None})

    @classmethod
    def from_json(cls, text: str) -> Source:
        """Read it. Raises ValueError: it is none."""
        fields: Any = json.loads(text)
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f"not a source: {error}") from error


def input_reference() -> dict[str, str]:
    """What the intake puts into an input in the place of the object."""
    return {"$ref": REFERENCE}


def is_input_reference(value: Any) -> bool:
    """Whether a value stands for the object."""
    return isinstance(value, dict) and value == {"$ref": REFERENCE}
