"""The same bucket by boto3: for environments that need more than the lean client has, and for operators' tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from inference.errors import Unavailable
from inference.sources import ObjectChanged, Pin
from inference.store.payloads import Link, StoredObject

_T = TypeVar("_T")
_MISSING = ("404", "NoSuchKey", "NoSuchVersion", "InvalidRange")
_CHANGED = ("412", "PreconditionFailed")


class Boto3Bucket:
    """`inference.store.payloads.Bucket` with a boto3 client of S3."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write an object."""
        self._call(
            "write",
            key,
            lambda: self._client.put_object(
                Bucket=self._name, Key=key, Body=content, ContentType=content_type, ChecksumAlgorithm="SHA256"
            ),
        )

    def get(self, key: str, first: int = 0, last: int | None = None, pin: Pin | None = None) -> StoredObject | None:
        """See `Bucket.get`."""
        pinned = {} if pin is None else {"IfMatch": f'"{pin.etag}"'}
        if pin is not None and pin.version_id is not None:
            pinned["VersionId"] = pin.version_id

        def read() -> StoredObject | None:
            wanted = f"bytes={first}-{'' if last is None else last}"
            try:
                found = self._client.get_object(Bucket=self._name, Key=key, Range=wanted, **pinned)
                content = found["Body"].read()
            except ClientError as error:
                if _code(error) in _CHANGED:
                    raise ObjectChanged(f"{key} has another content now") from error
                if _code(error) in _MISSING:
                    return None
                raise
            total = int(found["ContentRange"].rpartition("/")[2]) if "ContentRange" in found else len(content)
            modified = int(found["LastModified"].timestamp()) * 1000
            return StoredObject(content, total, found.get("ContentType", ""), modified)

        return self._call("read", key, read)

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        self._call("delete", key, lambda: self._client.delete_object(Bucket=self._name, Key=key))

    def renew(self, key: str) -> bool:
        """Copy an object onto itself, which begins its time in the bucket anew. False: there is none."""

        def copy() -> bool:
            try:
                head = self._client.head_object(Bucket=self._name, Key=key)
                self._client.copy_object(
                    Bucket=self._name,
                    Key=key,
                    CopySource={"Bucket": self._name, "Key": key},
                    ContentType=head["ContentType"],
                    MetadataDirective="REPLACE",  # S3 rejects a copy onto itself that changes nothing
                )
            except ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
            return True

        return self._call("renew", key, copy)

    def keys(self, prefix: str) -> Sequence[str]:
        """See `Bucket.keys`."""
        listed = self._call("list", prefix, lambda: self._client.list_objects_v2(Bucket=self._name, Prefix=prefix))
        return [item["Key"] for item in listed.get("Contents", ())]

    def upload_link(self, key: str, content_type: str, size: int, seconds: int) -> Link:
        """A link to write an object of this size and type, once."""
        of_object = {"Bucket": self._name, "Key": key}
        headers = {"content-length": str(size), "content-type": content_type, "if-none-match": "*"}
        bound = {"ContentLength": size, "ContentType": content_type, "IfNoneMatch": "*"}
        return Link(self._link("put_object", {**of_object, **bound}, seconds), headers)

    def download_link(self, key: str, seconds: int, version_id: str | None = None) -> str:
        """A link to read an object, or one version of it."""
        version = {} if version_id is None else {"VersionId": version_id}
        return self._link("get_object", {"Bucket": self._name, "Key": key, **version}, seconds)

    def _link(self, operation: str, parameters: dict[str, Any], seconds: int) -> str:
        def sign() -> str:
            return str(self._client.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds))

        return self._call("sign a link to", parameters["Key"], sign)

    def _call(self, what: str, key: str, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"could not {what} {key}: {error}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
