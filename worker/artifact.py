"""Where a model's artifact comes from: the model's folder or S3, verified by its SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from worker.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PART_BYTES = 8 * 2**20
CONNECTIONS = 8
"""One connection to S3 carries less than Lambda's network does; eight fill it, within boto3's pool of ten."""

ATTEMPTS = 3
"""Tries per part: boto3 repeats a request that fails, but not a body that breaks off."""


class S3Client(Protocol):
    """What is used of boto3's S3 client."""

    def head_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...

    def get_object(self, *, Bucket: str, Key: str, Range: str, IfMatch: str) -> Mapping[str, Any]: ...


def verified(path: Path, sha256: str) -> Path:
    """Return `path` if its SHA-256 (hex) is the expected one; raises ArtifactError."""
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"artifact {path}: cannot be read: {error.strerror}") from error
    if actual != sha256:
        raise ArtifactError(f"artifact {path}: SHA-256 is {actual}, not {sha256}; restore the declared file")
    return path


def download(uri: str, s3_client: Callable[[], S3Client] | None, *, cache: Path | None = None) -> Path:
    """Fetch `s3://bucket/key[#sha256=<hex>]` into `cache` (default: a folder of the system's temporary one).

    The file is named by its digest, or else by the object's ETag, so that a warm disk saves the download and
    a changed object is never mistaken for its predecessor. Raises ArtifactError.
    """
    match = re.fullmatch(r"s3://([^/#]+)/([^#]+)(?:#sha256=([0-9a-f]{64}))?", uri)
    if match is None:
        raise ArtifactError(f"artifact {uri}: must look like s3://bucket/key or s3://bucket/key#sha256=<hex>")
    if s3_client is None:
        raise ArtifactError(f"artifact {uri}: no S3 client was given to load it with")
    bucket, key, sha256 = match.groups()
    cache = cache or Path(tempfile.gettempdir()) / "model-artifacts"
    cache.mkdir(parents=True, exist_ok=True)
    if sha256 and (cache / sha256).exists():
        return verified(cache / sha256, sha256)
    part = cache / f"part-{os.getpid()}"
    try:
        client = s3_client()
        head = client.head_object(Bucket=bucket, Key=key)
        path = cache / (sha256 or hashlib.sha256(f"{bucket}/{key} {head['ETag']}".encode()).hexdigest())
        if not path.exists():
            _fetch(client, bucket, key, head, part)
            # Only a whole and (given a digest) right file gets the name that the next start looks for.
            (verified(part, sha256) if sha256 else part).replace(path)
    except ArtifactError:
        raise ArtifactError(f"artifact {uri}: the object has another SHA-256; upload the right one") from None
    except Exception as error:
        raise ArtifactError(f"artifact {uri}: cannot be downloaded: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _fetch(client: S3Client, bucket: str, key: str, head: Mapping[str, Any], path: Path) -> None:
    """Fetch an object in parts, several at a time, each straight to its place in the file."""
    from concurrent.futures import ThreadPoolExecutor  # only where there is something to fetch

    size, etag = int(head["ContentLength"]), str(head["ETag"])
    with path.open("wb") as file:
        file.truncate(size)

        def fetch(start: int) -> None:
            end = min(start + PART_BYTES, size)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    # The ETag: parts of two versions of the object must not meet in one file.
                    part = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", IfMatch=etag)
                    content = part["Body"].read()
                    if len(content) != end - start:
                        raise OSError(f"{len(content)} bytes came instead of {end - start}")
                    os.pwrite(file.fileno(), content, start)
                    return
                except Exception:
                    if attempt == ATTEMPTS:
                        raise

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for _ in pool.map(fetch, range(0, size, PART_BYTES)):
                pass
