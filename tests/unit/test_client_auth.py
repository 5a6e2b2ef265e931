"""Each way to authenticate, for each HTTP call, with both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from async_inference_client import ApiKey, AsyncClient, BearerToken, Client, SigV4
from async_inference_client.auth import region_in
from async_inference_client.errors import CredentialsError
from tests.unit.client_plans import accepted, response

HOST = "https://abc.execute-api.eu-west-1.amazonaws.com"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture(params=["sync", "async"])
def sent(request: pytest.FixtureRequest) -> Callable[..., httpx2.Request]:
    """What is sent by a submit."""

    def send(auth: httpx2.Auth, url: str = HOST, value: Any = "é") -> httpx2.Request:
        seen: list[httpx2.Request] = []

        def respond(asked: httpx2.Request) -> httpx2.Response:
            seen.append(asked)
            return accepted()

        async def send_async() -> None:
            async with AsyncClient(url, auth=auth, transport=httpx2.MockTransport(respond)) as client:
                await client.submit(value, model="a b")

        if request.param == "async":
            asyncio.run(send_async())
        else:
            with Client(url, auth=auth, transport=httpx2.MockTransport(respond)) as client:
                client.submit(value, model="a b")
        return seen[0]

    return send


def test_a_token_is_taken_anew_for_each_call() -> None:
    tokens = iter(["one", "two"])
    seen: list[str] = []

    def respond(asked: httpx2.Request) -> httpx2.Response:
        seen.append(asked.headers["Authorization"])
        return response(503, {"message": "x"}, retry_after="0") if len(seen) == 1 else accepted()

    auth = BearerToken(lambda: next(tokens))
    with Client(HOST, auth=auth, transport=httpx2.MockTransport(respond)) as client:
        client.submit(1)
    assert seen == ["Bearer one", "Bearer two"]


def test_a_token_and_a_key_have_their_headers(sent: Callable[..., httpx2.Request]) -> None:
    assert sent(BearerToken("t")).headers["Authorization"] == "Bearer t"
    assert sent(ApiKey("k")).headers["X-Api-Key"] == "k"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("abc.execute-api.eu-west-1.amazonaws.com", "eu-west-1"),
        ("abc.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("abc.execute-api.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("abc.execute-api.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ],
)
def test_the_host_names_the_region(
    sent: Callable[..., httpx2.Request], host: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    assert f"/{region}/execute-api/aws4_request" in sent(SigV4(), f"https://{host}").headers["Authorization"]


def test_the_signature_is_that_of_what_is_sent(sent: Callable[..., httpx2.Request]) -> None:
    """A verifier that has only the HTTP request comes to the same signature, which a changed body does not."""
    found = sent(SigV4())
    given = found.headers["Authorization"]
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "content-type", "idempotency-key", "x-amz-date"} == set(names)

    def signature(body: bytes) -> str:
        again = AWSRequest(found.method, str(found.url), {name: found.headers[name] for name in names}, body)
        again.context["timestamp"] = found.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials("AKIATEST", "secret"), "execute-api", "eu-west-1")
        return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))

    assert given.endswith(f"Signature={signature(found.content)}")
    assert not given.endswith(f"Signature={signature(b'{}')}")


def test_a_sessions_token_is_sent(sent: Callable[..., httpx2.Request], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    assert sent(SigV4()).headers["X-Amz-Security-Token"] == "session"


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_custom_domain_is_signed_for_the_given_region_or_the_shells(
    sent: Callable[..., httpx2.Request], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "sa-east-1")
    assert "/sa-east-1/" in sent(SigV4(), "https://api.example.org").headers["Authorization"]
    assert "/eu-north-1/" in sent(SigV4("eu-north-1"), "https://api.example.org").headers["Authorization"]


def test_no_region_is_guessed(sent: Callable[..., httpx2.Request]) -> None:
    with pytest.raises(
        CredentialsError, match=r"region, which api\.example\.org does not contain: name it, or set AWS_REGION"
    ):
        sent(SigV4(), "https://api.example.org")


def test_no_credentials_and_no_such_profile_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CredentialsError, match="nobody"):
        SigV4(profile="nobody")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(CredentialsError, match="there are no AWS credentials"):
        SigV4()


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566/_aws/execute-api/abc", "https://abc.execute-api.localhost"])
def test_an_emulator_is_in_no_region(url: str) -> None:
    assert region_in(url) is None
