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


class S3Client(Protocol):
    """What is used of boto3's S3 client. `download_file` fetches big objects in parallel ranges."""

    def head_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...

    def download_file(self, Bucket: str, Key: str, Filename: str) -> None: ...


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
    try:
        client = s3_client()
        version = sha256 or client.head_object(Bucket=bucket, Key=key)["ETag"]
        path = cache / hashlib.sha256(f"{bucket}/{key} {version}".encode()).hexdigest()
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}")
            client.download_file(bucket, key, str(part))
            # Only a whole and (given a digest) right file gets the name that the next start looks for.
            (verified(part, sha256) if sha256 else part).replace(path)
    except ArtifactError:
        raise ArtifactError(f"artifact {uri}: the object has another SHA-256; upload the right one") from None
    except Exception as error:
        raise ArtifactError(f"artifact {uri}: cannot be downloaded: {error}") from error
    return verified(path, sha256) if sha256 else path
