"""An S3 that holds one object, and goes wrong when told to."""

import io
from typing import Any

URI = "s3://bucket/models/a.pt"


class FakeS3:
    """An S3 with one object. `broken` bodies are cut short; the object changes before the ranged read `change_at`."""

    def __init__(self, content: bytes, etag: str = '"1"') -> None:
        self.content, self.etag, self.ranges = content, etag, list[str]()
        self.broken, self.change_at = 0, -1

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        assert (Bucket, Key) == ("bucket", "models/a.pt")
        return {"ETag": self.etag, "ContentLength": len(self.content)}

    def get_object(self, *, Bucket: str, Key: str, Range: str, IfMatch: str) -> dict[str, Any]:
        assert (Bucket, Key) == ("bucket", "models/a.pt")
        if len(self.ranges) == self.change_at:
            self.etag = '"changed"'
        if self.etag != IfMatch:
            raise OSError("PreconditionFailed")
        self.ranges.append(Range)
        first, _, last = Range.removeprefix("bytes=").partition("-")
        body = self.content[int(first) : int(last) + 1]
        if self.broken:
            self.broken -= 1
            body = body[:-1]
        return {"Body": io.BytesIO(body)}
