"""Our signature is botocore's, byte for byte, whatever is signed."""

from __future__ import annotations

import datetime
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from inference.aws.signing import Credentials, Signer

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
HOSTS = st.sampled_from(["sqs.us-east-1.amazonaws.com", "dynamodb.cn-north-1.amazonaws.com.cn", "127.0.0.1:4566"])
TIMES = st.integers(0, 4_000_000_000)
EXTRA = st.sampled_from([{}, {"x-amzn-query-mode": "true"}, {"a-first": "50%", "zz-last": "%(time)s"}])


@given(SECRETS, SECRETS, st.none() | SECRETS, st.sampled_from(["sqs", "dynamodb"]), HOSTS, EXTRA, TIMES, st.binary())
@example("AKID", "s%ecret", "tok%en", "sqs", "127.0.0.1:1", {}, 1_000_000_000, b"{}")
def test_equals_botocores(
    access: str, secret: str, token: str | None, service: str, host: str, extra: dict[str, str], at: int, body: bytes
) -> None:
    target = "DynamoDB_20120810.PutItem"
    signer = Signer(Credentials(access, secret, token), service, "eu-central-1", host, extra)
    head, _, sent = signer.request(target, body, at).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)

    fixed = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target, **extra}
    request = AWSRequest("POST", f"http://{host}/", headers=fixed, data=body)
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(BotocoreCredentials(access, secret, token), service, "eu-central-1").add_auth(request)

    assert (first, sent) == ("POST / HTTP/1.1", body)
    assert headers["authorization"] == request.headers["Authorization"]
    assert headers["x-amz-date"] == request.headers["X-Amz-Date"]
    assert headers.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")
    assert headers["host"] == host
    assert headers["content-length"] == str(len(body))


def test_the_key_changes_at_midnight() -> None:
    signer = Signer(Credentials("a", "b"), "sqs", "us-east-1", "h", {})
    fresh = Signer(Credentials("a", "b"), "sqs", "us-east-1", "h", {})
    midnight = 86_400 * 20_000
    assert signer.request("t", b"", midnight - 1) != signer.request("t", b"", midnight)
    assert signer.request("t", b"", midnight) == fresh.request("t", b"", midnight)


def test_unsigned_headers_are_sent_and_not_signed() -> None:
    signer = Signer(Credentials("a", "b"), "sqs", "us-east-1", "h", {})
    plain, more = signer.request("t", b"{}", 0), signer.request("t", b"{}", 0, "x-amzn-trace-id: Root=1\r\n")
    assert more.replace(b"x-amzn-trace-id: Root=1\r\n", b"") == plain
