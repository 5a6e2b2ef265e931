"""The signatures of links are botocore's, whatever is signed."""

from __future__ import annotations

import datetime
from email.utils import format_datetime
from unittest import mock
from urllib.parse import parse_qs, quote, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from inference.aws.bucket import LeanBucket, _epoch_ms
from inference.aws.query_signing import QuerySigner
from inference.aws.signing import Credentials

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs"]), min_size=1, max_size=40
)
HEADERS = st.sampled_from([{}, {"content-type": "image/png", "content-length": "7", "if-none-match": "*"}])
QUERIES = st.sampled_from([{}, {"list-type": "2", "prefix": "requests/a b/ü"}])
ROOTS = st.sampled_from(["/", "/bucket/"])


@given(SECRETS, SECRETS, st.none() | SECRETS, KEYS, ROOTS, HEADERS, QUERIES, st.integers(0, 4_000_000_000))
@example("AKID", "s%", "tok/en+=", "a b/ü~.%2F?&", "/bucket/", {}, {}, 1_000_000_000)
def test_equals_botocores(
    access: str,
    secret: str,
    token: str | None,
    key: str,
    root: str,
    headers: dict[str, str],
    query: dict[str, str],
    at: int,
) -> None:
    host = "b.s3.eu-central-1.amazonaws.com"
    signer = QuerySigner(Credentials(access, secret, token), "eu-central-1", host, root)
    ours = urlsplit("https://h" + signer.target("PUT", key, at, 900, query, headers))

    path = quote(root + key, safe="/~")
    more = "?" + "&".join(f"{quote(n, safe='~')}={quote(v, safe='~')}" for n, v in query.items()) if query else ""
    request = AWSRequest("PUT", f"https://{host}{path}{more}", headers=dict(headers))
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        S3SigV4QueryAuth(BotocoreCredentials(access, secret, token), "s3", "eu-central-1", expires=900).add_auth(
            request
        )
    theirs = urlsplit(request.url)
    assert ours.path == theirs.path
    assert parse_qs(ours.query, keep_blank_values=True) == parse_qs(theirs.query, keep_blank_values=True)


def link(**environment: str) -> str:
    keys = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1"}
    bucket = LeanBucket.from_environment("a-bucket", keys | environment, 1, 3, 3)
    assert bucket is not None
    return bucket.download_link("requests/a/1", 900).partition("?")[0]


def test_where_links_lead() -> None:
    assert link() == "https://a-bucket.s3.eu-central-1.amazonaws.com/requests/a/1"
    assert link(AWS_DEFAULT_REGION="cn-north-1") == "https://a-bucket.s3.cn-north-1.amazonaws.com.cn/requests/a/1"
    assert link(AWS_ENDPOINT_URL="http://127.0.0.1:4566/") == "http://127.0.0.1:4566/a-bucket/requests/a/1"
    assert link(AWS_ENDPOINT_URL_S3="https://vpce.example") == "https://vpce.example/a-bucket/requests/a/1"


def test_a_proxy_needs_boto3() -> None:
    assert LeanBucket.from_environment("a-bucket", {"HTTPS_PROXY": "http://p"}, 1, 3, 3) is None


@given(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2400, 1, 1)))
@example(datetime.datetime(2024, 2, 29, 23, 59, 59))
@example(datetime.datetime(2100, 3, 1))
def test_dates(date: datetime.datetime) -> None:
    date = date.replace(microsecond=0, tzinfo=datetime.UTC)
    assert _epoch_ms(format_datetime(date, usegmt=True)) == int(date.timestamp()) * 1000


def test_what_is_no_date() -> None:
    assert _epoch_ms("yesterday") == 0
