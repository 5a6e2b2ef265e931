"""A fake payload bucket, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from inference.sources import ObjectChanged, Pin
from inference.store.payloads import Link, StoredObject
from tests.unit.fakes import Clock, Faulty


@dataclass
class Held:
    """An object as the bucket has it."""

    content: bytes
    content_type: str
    modified: int


def etag_of(content: bytes) -> str:
    """As S3 makes it of an object that was put in one call."""
    return hashlib.md5(content).hexdigest()


class FakeBucket(Faulty):
    """`Bucket` in memory. Links are `upload:<key>` and `download:<key>`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.objects: dict[str, Held] = {}
        self.versions: dict[tuple[str, str], Held] = {}
        """By key and version id; a test puts them there."""

    def put(self, key: str, content: bytes, content_type: str) -> None:
        self._called("put")
        held = Held(content, content_type, self._clock.now)
        self._step("put", lambda: self.objects.update({key: held}))

    def get(self, key: str, first: int = 0, last: int | None = None, pin: Pin | None = None) -> StoredObject | None:
        self._called("get")

        def read() -> StoredObject | None:
            held = self.objects.get(key)
            if pin is not None and pin.version_id is not None:
                held = self.versions.get((key, pin.version_id))
            if held is None or not held.content:
                return None
            if pin is not None and pin.etag != etag_of(held.content):
                raise ObjectChanged(key)
            end = len(held.content) if last is None else last + 1
            return StoredObject(held.content[first:end], len(held.content), held.content_type, held.modified)

        found: StoredObject | None = self._step("get", read)
        return found

    def delete(self, key: str) -> None:
        self._called("delete")
        self._step("delete", lambda: self.objects.pop(key, None))

    def renew(self, key: str) -> bool:
        self._called("renew")
        held = self.objects.get(key)
        if held is not None:
            held.modified = self._clock.now
        return held is not None

    def keys(self, prefix: str) -> Sequence[str]:
        self._called("keys")
        found: list[str] = self._step("keys", lambda: sorted(key for key in self.objects if key.startswith(prefix)))
        return found

    def upload_link(self, key: str, content_type: str, size: int, seconds: int) -> Link:
        return Link(f"upload:{key}", {"content-type": content_type, "content-length": str(size)})

    def download_link(self, key: str, seconds: int, version_id: str | None = None) -> str:
        return f"download:{key}" if version_id is None else f"download:{key}?versionId={version_id}"

    def _called(self, operation: str) -> None:
        self.calls.append(operation)
