"""Credentials of the container endpoint, which Lambda gives a function with SnapStart: both clients take them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from botocore.utils import ContainerMetadataFetcher

from inference.aws import retries
from inference.aws.credentials import ContainerCredentials
from inference.aws.lean import LeanClient
from inference.aws.signing import Credentials
from tests.integration.clients.conftest import Maker
from tests.integration.clients.scripted_server import Answer, ScriptedServer, closes, says

NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
TOKEN = "the-environments-token"


def keys(name: str, valid_seconds: float) -> Answer:
    expires = datetime.fromtimestamp(time.time() + valid_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = {"AccessKeyId": name, "SecretAccessKey": "secret", "Token": f"token-{name}", "Expiration": expires}
    return says(found)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)  # boto3's, between attempts


@pytest.fixture
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(otherwise=keys("SAME", 6 * 3600)) as server:
        yield server


def a_client(make: Maker, server: ScriptedServer, endpoint: ScriptedServer, **more: str) -> Any:
    where = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoint.url}/2021-04-23/credentials?of=me",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN,
    }
    return make("dynamodb", server.url, **NO_KEYS | where | more)


def get(client: Any) -> None:
    client.get_item(TableName="t", Key={"request_id": {"S": "a"}})


def signed_by(server: ScriptedServer) -> list[tuple[str, str]]:
    """The key and the token of each request."""
    return [
        (
            received.headers["authorization"].partition("Credential=")[2].partition("/")[0],
            received.headers["x-amz-security-token"],
        )
        for received in server.received
    ]


def test_they_are_fetched_once_with_the_token(make: Maker, server: ScriptedServer, endpoint: ScriptedServer) -> None:
    client = a_client(make, server, endpoint)
    get(client)
    get(client)
    assert signed_by(server) == [("SAME", "token-SAME")] * 2
    assert [received.headers["authorization"] for received in endpoint.received] == [TOKEN]


def test_they_are_fetched_again_before_they_expire(
    make: Maker, server: ScriptedServer, endpoint: ScriptedServer
) -> None:
    """As after a restore from a snapshot that is older than they are."""
    endpoint.script += [keys("OLD", 60), keys("NEW", 6 * 3600)]
    client = a_client(make, server, endpoint)
    for _ in range(3):
        get(client)
    assert [key for key, _ in signed_by(server)][-2:] == ["NEW", "NEW"]
    assert len(endpoint.received) == 2


def test_expired_ones_are_not_used(make: Maker, server: ScriptedServer, endpoint: ScriptedServer) -> None:
    endpoint.script += [keys("EXPIRED", -60)]
    client = a_client(make, server, endpoint)
    get(client)
    get(client)
    assert signed_by(server)[-1] == ("SAME", "token-SAME")


def test_valid_ones_are_used_while_the_endpoint_fails(
    make: Maker, server: ScriptedServer, endpoint: ScriptedServer
) -> None:
    endpoint.script += [keys("VALID", 12 * 60)]
    endpoint.otherwise = says({"message": "try later"}, status=500)
    client = a_client(make, server, endpoint)
    get(client)
    get(client)
    assert signed_by(server) == [("VALID", "token-VALID")] * 2
    assert len(endpoint.received) > 1


@pytest.mark.parametrize(
    "answer",
    [
        says({"message": "no"}, status=403),
        says(b"not JSON"),
        says({"AccessKeyId": "A"}),
        closes,
    ],
    ids=["rejected", "not JSON", "incomplete", "closed"],
)
def test_without_valid_ones_a_call_fails(
    make: Maker, server: ScriptedServer, endpoint: ScriptedServer, answer: Answer
) -> None:
    endpoint.otherwise = answer
    # boto3 fetches them when the client is made, and does not look for what is missing in an answer.
    with pytest.raises((BotoCoreError, KeyError) if make.kind == "boto3" else BotoCoreError) as caught:
        get(a_client(make, server, endpoint))
    assert "secret" not in str(caught.value)
    assert server.received == []


def test_keys_in_the_environment_come_first(make: Maker, server: ScriptedServer, endpoint: ScriptedServer) -> None:
    client = a_client(
        make, server, endpoint, AWS_ACCESS_KEY_ID="MINE", AWS_SECRET_ACCESS_KEY="s", AWS_SESSION_TOKEN="t"
    )
    get(client)
    assert signed_by(server) == [("MINE", "t")]
    assert endpoint.received == []


def test_the_token_is_the_environments_of_now(endpoint: ScriptedServer) -> None:
    endpoint.script += [keys("OLD", 60)]
    environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "one"}
    credentials = ContainerCredentials.from_environment(environment, 1, 3)
    assert credentials is not None
    credentials(3)
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "another"
    credentials(3)
    assert [received.headers["authorization"] for received in endpoint.received] == ["one", "another"]
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "with\r\nanother-header: line"
    with pytest.raises(BotoCoreError, match="not a legal header value"):
        ContainerCredentials.from_environment(environment, 1, 3)(3)  # type: ignore[misc]


def test_threads_fetch_them_once(server: ScriptedServer, endpoint: ScriptedServer) -> None:
    environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url}
    credentials = ContainerCredentials.from_environment(environment, 1, 3)
    assert credentials is not None
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: credentials(3), range(8)))
    assert found == [Credentials("SAME", "secret", "token-SAME")] * 8
    assert len(endpoint.received) == 1
    assert "authorization" not in endpoint.received[0].headers


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/keys"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "ftp://127.0.0.1/keys"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/a b"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[::1]/keys"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/token"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2"},
    ],
    ids=lambda environment: " ".join(environment.values()),
)
def test_what_needs_boto3_is_left_to_it(environment: dict[str, str]) -> None:
    settings = {"AWS_DEFAULT_REGION": "us-east-1", **environment}
    assert LeanClient.from_environment("sqs", settings, 1, 3, retries.RETRY_COST) is None


def test_a_failing_endpoint_is_not_asked_with_every_call(endpoint: ScriptedServer) -> None:
    now = [time.time()]
    endpoint.script += [keys("VALID", 12 * 60)]
    endpoint.otherwise = says({}, status=500)
    made = ContainerCredentials.from_environment({"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url}, 1, 3)
    assert made is not None
    credentials = ContainerCredentials(made._host, "h", "/", {}, lambda: now[0])
    for _ in range(3):
        assert credentials(3).access_key == "VALID"
    assert len(endpoint.received) == 2
    now[0] += 11
    assert credentials(3).access_key == "VALID"
    assert len(endpoint.received) == 3
    now[0] += 12 * 60
    with pytest.raises(BotoCoreError):
        credentials(3)
