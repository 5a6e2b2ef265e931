"""Where outcomes are written to in S3: documents that say which event they are of, and copies of results' files."""

from __future__ import annotations

from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from inference.errors import Unavailable
from inference.store.payloads import JSON

_MISSING = ("404", "NoSuchKey", "NotFound")
_CHANGED = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
_SEQUENCER = "sequencer"
FILE_CACHING = "public, max-age=31536000, immutable"
"""Of files: their keys have a part of their SHA-256, so their content never changes."""

DOCUMENT_CACHING = "no-cache"


class Written(NamedTuple):
    """A document that is there: its entity tag, and the sequencer of the event that it is of."""

    etag: str
    sequencer: str


class ResultsPlace:
    """Writes to buckets of results.

    Args:
        client: an S3 client of boto3.
        payload_bucket: where the files of results are.
    """

    def __init__(self, client: Any, payload_bucket: str) -> None:
        self._client = client
        self._payload_bucket = payload_bucket

    def written(self, bucket: str, key: str) -> Written | None:
        """The document that is there; None: there is none. Raises Unavailable."""
        try:
            found = self._client.head_object(Bucket=bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _MISSING:
                return None
            raise Unavailable(f"could not look at s3://{bucket}/{key}: {error}") from error
        return Written(found["ETag"], found.get("Metadata", {}).get(_SEQUENCER, ""))

    def copy(self, from_key: str, bucket: str, key: str, content_type: str) -> bool:
        """Copy a file of the payload bucket, without reading it. False: it is not there any more. Raises
        Unavailable."""
        try:
            self._client.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource={"Bucket": self._payload_bucket, "Key": from_key},
                ContentType=content_type,
                CacheControl=FILE_CACHING,
                MetadataDirective="REPLACE",
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _MISSING:
                return False
            raise Unavailable(f"could not copy {from_key} to s3://{bucket}/{key}: {error}") from error
        return True

    def write(self, bucket: str, key: str, content: bytes, sequencer: str, before: Written | None) -> bool:
        """Write a document in the place of what was there before. False: another was written meanwhile. Raises
        Unavailable."""
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": before.etag}
        try:
            self._client.put_object(
                Bucket=bucket,
                Key=key,
                Body=content,
                ContentType=JSON,
                CacheControl=DOCUMENT_CACHING,
                Metadata={_SEQUENCER: sequencer},
                **condition,
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) in (*_CHANGED, *_MISSING):  # missing: deleted meanwhile
                return False
            raise Unavailable(f"could not write s3://{bucket}/{key}: {error}") from error
        return True


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
