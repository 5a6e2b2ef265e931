"""AWS's Signature Version 4 in the query of an S3 request: for presigned links, and for this package's own calls.

A test compares the signatures with botocore's.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping

from inference.aws.signing import Credentials, derived_key

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class QuerySigner:
    """Signs requests to S3 in one region.

    Args:
        host: the value of the Host header.
        root: the path before the key: `/`, or `/<bucket>/` where the bucket is not part of the host's name.
    """

    def __init__(self, credentials: Credentials, region: str, host: str, root: str) -> None:
        self._credentials = credentials
        self._scope = (region, "s3", "aws4_request")
        self._host = host
        self._root = root

    def target(
        self,
        method: str,
        key: str,
        at: float,
        seconds: int,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """The path and the query of a signed request, which anybody can make until it expires.

        Args:
            at: the time of the signature, epoch seconds; `seconds`: for how long it is valid.
            query: what the operation has in its query.
            headers: those that the request must have with these values, beside Host; names in lower case.
        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        scope = "/".join((moment[:8], *self._scope))
        signed = {"host": self._host, **(headers or {})}
        names = sorted(signed)
        parameters = {
            **(query or {}),
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self._credentials.access_key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": ";".join(names),
        }
        if self._credentials.token:
            parameters["X-Amz-Security-Token"] = self._credentials.token
        path = _encoded(self._root + key, slash=True)
        encoded = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(parameters.items()))
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        canonical = f"{method}\n{path}\n{encoded}\n{lines}\n{';'.join(names)}\nUNSIGNED-PAYLOAD"
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signing_key = derived_key(self._credentials.secret_key, (moment[:8], *self._scope))
        signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
        return f"{path}?{encoded}&X-Amz-Signature={signature}"


def _encoded(text: str, *, slash: bool = False) -> str:
    """Percent-encoded as the signature wants it. `urllib.parse.quote` does the same; importing it takes 5 ms."""
    return "".join(
        chr(byte) if byte in _UNRESERVED or (slash and byte == 0x2F) else f"%{byte:02X}"
        for byte in text.encode("utf-8")
    )
