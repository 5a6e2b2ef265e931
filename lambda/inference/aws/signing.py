"""AWS's Signature Version 4 for one shape of request: POST / with a JSON body.

Botocore's signer supports every request, but its imports take 32 ms of a cold start. This one makes the same signature;
a test compares them for arbitrary requests.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Credentials(NamedTuple):
    """Of the role. As Lambda sets them in the environment, they are valid longer than the process runs; those of the
    container endpoint expire (credentials.py)."""

    access_key: str
    secret_key: str
    token: str | None = None


class Signer:
    """Makes signed requests to one service.

    Args:
        host: the value of the Host header.
        headers: more headers of every request; names in lower case.
    """

    def __init__(
        self, credentials: Credentials, service: str, region: str, host: str, headers: Mapping[str, str]
    ) -> None:
        fixed = {"content-type": "application/x-amz-json-1.0", "host": host, **headers}
        if credentials.token:
            fixed["x-amz-security-token"] = credentials.token
        lines = {name: value.replace("%", "%%") for name, value in fixed.items()}
        lines |= {"x-amz-date": "%(time)s", "x-amz-target": "%(target)s"}
        names = sorted(lines)
        self._signed_headers = ";".join(names)
        canonical_headers = "".join(f"{name}:{lines[name]}\n" for name in names)
        self._canonical = f"POST\n/\n\n{canonical_headers}\n{self._signed_headers}\n"
        self._head = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {lines[name]}\r\n" for name in names)
        self._scope = (region, service, "aws4_request")
        self._credentials = credentials
        self._key = ("", b"")

    def request(self, target: str, body: bytes, at: float, unsigned: str = "") -> bytes:
        """A request's bytes.

        Args:
            target: the operation, as X-Amz-Target names it.
            at: the time of the signature, epoch seconds.
            unsigned: more header lines, each with its CRLF.
        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        day = moment[:8]
        values = {"time": moment, "target": target}
        canonical = self._canonical % values + hashlib.sha256(body).hexdigest()
        scope = "/".join((day, *self._scope))
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(day), to_sign.encode(), "sha256").hex()
        head = (
            f"{self._head % values}"
            f"authorization: AWS4-HMAC-SHA256 Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={self._signed_headers}, Signature={signature}\r\n"
            f"content-length: {len(body)}\r\nuser-agent: async-inference\r\n{unsigned}\r\n"
        )
        return head.encode("latin-1") + body

    def _signing_key(self, day: str) -> bytes:
        """The signing key is valid for a day. Day and key are kept in one tuple, so that all threads see matching
        ones."""
        known, key = self._key
        if known != day:
            key = derived_key(self._credentials.secret_key, (day, *self._scope))
            self._key = (day, key)
        return key


def derived_key(secret_key: str, scope: Sequence[str]) -> bytes:
    """The key that signs within a scope: day, region, service and `aws4_request`."""
    key = b"AWS4" + secret_key.encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return key
