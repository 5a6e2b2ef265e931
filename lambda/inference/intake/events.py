"""Events of S3 as EventBridge brings them to the intake's queue.

The key is as it is: unlike in S3's own notifications, it is not percent-encoded, so nothing is decoded here. What a key
looks like, `a+b%20c.png` for one, is its name.
"""

from __future__ import annotations

import calendar
import json
import time
from typing import Any, NamedTuple

from inference.sources import Source

CREATED = "Object Created"
NO_VERSION = "null"
"""What S3 calls the version of an object that was written while its bucket had no versions."""


class ObjectCreated(NamedTuple):
    """An object was created; `at`: when, in epoch milliseconds."""

    source: Source
    at: int

    @property
    def is_folder(self) -> bool:
        """Whether it is an empty object that stands for a folder, as the console of S3 makes it."""
        return self.source.key.endswith("/") and self.source.bytes == 0


def read_event(body: str) -> ObjectCreated:
    """Read the body of a message.

    Raises:
        ValueError: it is no event about a created object, or a member is missing or of another type.
    """
    event = json.loads(body)
    if not isinstance(event, dict) or event.get("source") != "aws.s3" or event.get("detail-type") != CREATED:
        raise ValueError(f"it is no event '{CREATED}' of S3")
    detail = _member(event, "detail", dict)
    found = _member(detail, "object", dict)
    version_id = found.get("version-id")
    source = Source(
        bucket=_member(_member(detail, "bucket", dict), "name", str),
        key=_member(found, "key", str),
        etag=_member(found, "etag", str).strip('"'),
        bytes=_member(found, "size", int),
        sequencer=_member(found, "sequencer", str),
        version_id=version_id if isinstance(version_id, str) and version_id not in ("", NO_VERSION) else None,
    )
    return ObjectCreated(source, _epoch_ms(_member(event, "time", str)))


def _member(found: dict[str, Any], name: str, kind: type) -> Any:
    value = found.get(name)
    if type(value) is not kind or value in ("", {}):
        raise ValueError(f"'{name}' is missing or no {kind.__name__}")
    return value


def _epoch_ms(text: str) -> int:
    """Of `2026-11-26T10:00:00Z`; a fraction of the second is dropped."""
    return calendar.timegm(time.strptime(text.partition(".")[0].removesuffix("Z"), "%Y-%m-%dT%H:%M:%S")) * 1000
