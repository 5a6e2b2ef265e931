"""Where a model's artifact comes from: its folder, a package or S3; and how it is verified there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from worker.model.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PART_BYTES = 8 * 2**20
CONNECTIONS = 8
"""One connection to S3 carries less than Lambda's network does; eight fill it, within boto3's pool of ten."""

ATTEMPTS = 3
"""Tries per part: boto3 retries a failed request, but not a response body that ends early."""


class S3Client(Protocol):
    """What is used of boto3's S3 client."""

    def head_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...

    def get_object(self, *, Bucket: str, Key: str, Range: str, IfMatch: str) -> Mapping[str, Any]: ...


def verified(path: Path, sha256: str) -> Path:
    """Return `path` if its SHA-256 (hex) is the expected one; raises ArtifactError."""
    with _readable(path):
        actual = _sha256(path)
    if actual != sha256:
        raise ArtifactError(f"artifact {path}: SHA-256 is {actual}, not {sha256}; restore the declared file")
    return path


def packaged(path: Path, size: int) -> Path:
    """Return `path` if it has `size` bytes: a file of a package, whose SHA-256 was verified when the package was made.

    Raises ArtifactError.
    """
    with _readable(path), path.open("rb") as file:
        actual = os.fstat(file.fileno()).st_size
    if actual != size:
        raise ArtifactError(f"artifact {path}: {actual} bytes, not {size}; make the package again, and deploy it")
    return path


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        remedy = 'put it there, or set artifact = "s3://bucket/key" in the stack\'s models'
        raise ArtifactError(f"artifact {path}: no such file; {remedy}") from error
    except OSError as error:
        raise ArtifactError(f"artifact {path}: cannot be read: {error.strerror}") from error


def download(
    uri: str,
    sha256: str,
    s3_client: Callable[[], S3Client] | None,
    *,
    suffix: str = "",
    cache: Path | None = None,
) -> Path:
    """Fetch `s3://bucket/key[#sha256=<hex>]` into `cache` (default: a folder of the system's temporary one).

    The SHA-256 must be `sha256`, the manifest's digest, or the digest in the URI: use that to deploy an artifact that
    is not in the manifest. The file name is the digest, so that an existing file is not downloaded again, and `suffix`,
    which some libraries use to choose a format. Raises ArtifactError.
    """
    match = re.fullmatch(r"s3://([^/#]+)/([^#]+)(?:#sha256=([0-9a-f]{64}))?", uri)
    if match is None:
        raise ArtifactError(f"artifact {uri}: must look like s3://bucket/key or s3://bucket/key#sha256=<hex>")
    if s3_client is None:
        raise ArtifactError(f"artifact {uri}: no S3 client was given to download it")
    bucket, key, named = match.groups()
    sha256 = named or sha256
    cache = cache or Path(tempfile.gettempdir()) / "model-artifacts"
    path, part = cache / f"{sha256}{suffix}", cache / "part"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            # One download at a time. The kernel releases the lock when its process ends, in any way. The next download
            # overwrites the `part` of a killed one, so that partial files can't fill the disk.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists() and _sha256(path) == sha256:
                return path
            path.unlink(missing_ok=True)
            try:
                _fetch(s3_client(), bucket, key, part)
                actual = _sha256(part)
                if actual == sha256:
                    return part.replace(path)  # only a verified file gets this name
            finally:
                part.unlink(missing_ok=True)
    except ArtifactError:
        raise
    except Exception as error:
        raise ArtifactError(f"artifact {uri}: cannot be downloaded: {error}{_remedy(error)}") from error
    raise ArtifactError(
        f"artifact {uri}: the object's SHA-256 is {actual}, but {sha256} is declared; "
        f"upload the declared file, or deploy this one as {uri.partition('#')[0]}#sha256={actual}"
    )


def _remedy(error: Exception) -> str:
    """What to do about an S3 error. HeadObject returns only a status (404 or 403), without an error code."""
    response = getattr(error, "response", {})  # botocore's ClientError has it
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if "kms" in str(error).lower():
        return (
            "; the worker's role must be able to decrypt with the KMS key: name it in the model's read_kms_key_arns; "
            "if it is in another account, allow the role in the key policy too (terraform output worker_role_arns)"
        )
    if status == 404:
        return "; no such object: upload it, or correct the model's artifact"
    if status == 403:
        return (
            "; S3 denies access to the worker's role, or the object does not exist. A bucket in another account must "
            "allow the role in its bucket policy (terraform output worker_role_arns)"
        )
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(client: S3Client, bucket: str, key: str, path: Path) -> None:
    """Download an object in parts, several at a time; each is written at its offset in the file."""
    from concurrent.futures import ThreadPoolExecutor  # imported only when needed

    head = client.head_object(Bucket=bucket, Key=key)
    size, etag = int(head["ContentLength"]), str(head["ETag"])
    with path.open("wb") as file:

        def fetch(start: int) -> None:
            end = min(start + PART_BYTES, size)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    # IfMatch: one file must not mix parts of two versions of the object.
                    part = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", IfMatch=etag)
                    content = part["Body"].read()
                    if len(content) != end - start:
                        raise OSError(f"{len(content)} bytes came instead of {end - start}")
                    _write(file.fileno(), content, start)
                    return
                except Exception:
                    if attempt == ATTEMPTS:
                        raise

        free = shutil.disk_usage(path.parent).free
        try:
            if size and sys.platform != "darwin":  # macOS can't reserve space: there, a write fails instead
                os.posix_fallocate(file.fileno(), 0, size)
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                for _ in pool.map(fetch, range(0, size, PART_BYTES)):
                    pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise ArtifactError(
                f"artifact s3://{bucket}/{key}: it needs {size / 2**20:.1f} MB of disk, and {path.parent} has "
                f"{free / 2**20:.1f} MB free; raise the model's ephemeral_storage_mb"
            ) from error


def _write(file: int, content: bytes, start: int) -> None:
    """Write all of it: when the disk is nearly full, one `pwrite` may write less and only return the count."""
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, start)
        view, start = view[written:], start + written
