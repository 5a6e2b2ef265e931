"""Calls with API keys: who is let in, whose requests they see, and what a browser's page of another origin may do."""

from __future__ import annotations

import json

import pytest

from async_inference_client import ApiKey, Client
from inference.api_keys import digest_of, new_key
from scripts.deployment import terraform
from scripts.local.emulator import Emulator
from scripts.operate import api_keys, connection, predict
from tests import openapi
from tests.e2e.http_client import Api, Response
from tests.e2e.own import CACHE_SECONDS, ORIGIN, PREFIX, Own
from tests.e2e.waiting import eventually

TEXT = {"text": "what a lovely day"}
ELSEWHERE = "https://elsewhere.example.com"


@pytest.fixture(scope="module")
def key(own: Own) -> str:
    return own.make_key("web")


def preflight(api: Api, path: str, origin: str, method: str, headers: str) -> Response:
    """What a browser asks before a call, without credentials."""
    asked = {"access_control_request_method": method, "access_control_request_headers": headers}
    return api.call("OPTIONS", path, origin=origin, **asked)


def listed(response: Response, header: str) -> set[str]:
    return {name.strip().lower() for name in response.headers.get(header, "").split(",")}


def test_no_route_but_the_open_ones_answers_without_a_key(own: Own) -> None:
    gateway = own.deployment.client("apigatewayv2")
    routes = {route["RouteKey"] for route in gateway.get_routes(ApiId=own.deployment.output("api_id"))["Items"]}
    assert routes
    assert routes <= openapi.ROUTES
    for route in sorted(routes):
        method, path = route.split(" ")
        path = path.replace("{request_id}", "a1").replace("{model}", "sentiment")
        response = own.api().call(method, path, b"{}" if method == "POST" else None)
        openapi.check(route, response.status, response.headers, response.body, gateway=True)
        assert response.status == (200 if route in openapi.OPEN_ROUTES else 401), route


@pytest.mark.parametrize("wrong", [new_key(), "x", "a" * 5000], ids=["unknown", "malformed", "long"])
def test_a_wrong_key_is_rejected(own: Own, key: str, wrong: str) -> None:
    response = own.api(wrong).submit(TEXT)
    openapi.check("POST /predict", response.status, response.headers, response.body, gateway=True)
    assert (response.status, response.body) == (403, {"message": "Forbidden"})
    assert own.api(key).submit(TEXT, authorization=f"Bearer {wrong}").status == 202, "that header is not read"


def test_a_request_belongs_to_the_name_of_its_key(own: Own, key: str) -> None:
    web, other = own.api(key), own.api(own.make_key("other"))
    request_id = web.accepted(TEXT, idempotency_key="one")
    assert web.outcome(request_id)["status"] == "succeeded"
    assert other.status(request_id).status == 404
    assert other.call("POST", f"/cancel/{request_id}").status == 404
    assert other.accepted(TEXT, idempotency_key="one") != request_id, "a key of idempotency counts for its caller only"
    # A second key of the name is the same caller: so one can be replaced by the other.
    second = own.api(own.make_key("web"))
    assert second.status(request_id).body["status"] == "succeeded"
    assert second.accepted(TEXT, idempotency_key="one") == request_id
    assert request_id in [each["request_id"] for each in second.call("GET", "/requests").body["requests"]]


def test_a_revoked_key_is_rejected_when_the_cache_has_forgotten_it(
    own: Own, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the commands, as an operator calls them."""
    monkeypatch.setattr(terraform, "outputs", lambda _: {"api_keys": own.deployment.output("api_keys")})
    monkeypatch.setattr(terraform, "environment_env", lambda _: emulator.env)

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["api_keys", *arguments])
        assert api_keys.main() == 0
        return capsys.readouterr().out

    made = run("make", "short-lived").strip()
    api = own.api(made)
    request_id = api.accepted(TEXT)
    run("revoke", "short-lived")
    eventually("the key is rejected", CACHE_SECONDS + 10, lambda: api.status(request_id).status == 403)
    (shown,) = [key for key in map(json.loads, run("list", "--json").splitlines()) if key["name"] == "short-lived"]
    assert shown["state"] == "disabled"
    # Its owner gets a new one, and has its requests again.
    assert own.api(run("make", "short-lived").strip()).status(request_id).status == 200


def test_the_client_and_the_command_send_the_key(
    own: Own, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = own.deployment.base_url
    with Client(url, auth=ApiKey(key)) as client:
        assert client.predict(TEXT, timeout=60)["prediction"] == "positive"
    monkeypatch.setenv(connection.KEY, key)
    monkeypatch.setattr("sys.argv", ["predict", "--url", url, "--input", json.dumps(TEXT)])
    assert predict.main() == 0
    assert json.loads(capsys.readouterr().out)["prediction"] == "positive"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/predict", "content-type,idempotency-key,prefer,webhook-url,x-api-key"),
        ("GET", "/status/a1", "if-none-match,prefer,x-api-key"),
        ("GET", "/requests", "authorization"),
    ],
)
def test_a_preflight_needs_no_key(own: Own, method: str, path: str, headers: str) -> None:
    response = preflight(own.api(), path, ORIGIN, method, headers)
    assert response.status in (200, 204)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert method.lower() in listed(response, "access-control-allow-methods")
    assert set(headers.split(",")) <= listed(response, "access-control-allow-headers")
    assert "access-control-allow-credentials" not in response.headers, "no cookie is read"


def test_pages_of_other_origins_are_not_let_in(own: Own, key: str) -> None:
    response = preflight(own.api(), "/predict", ELSEWHERE, "POST", "x-api-key")
    assert "access-control-allow-origin" not in response.headers
    response = own.api(key).submit(TEXT, origin=ELSEWHERE)
    assert "access-control-allow-origin" not in response.headers


def test_a_page_reads_the_headers_that_it_needs(own: Own, key: str) -> None:
    response = own.api(key).submit(TEXT, origin=ORIGIN, prefer="wait=10")
    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = listed(response, "access-control-expose-headers")
    assert exposed >= {"etag", "location", "preference-applied", "retry-after"}
    status = own.api(key).call("GET", response.headers["location"], origin=ORIGIN)
    assert status.headers["access-control-allow-origin"] == ORIGIN
    assert status.headers["etag"]


def test_no_log_has_a_key_or_a_hash(own: Own, key: str) -> None:
    wrong = new_key()
    assert own.api(wrong).submit(TEXT).status == 403
    logs = own.deployment.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    texts = {
        group: "".join(event["message"] for event in logs.filter_log_events(logGroupName=group)["events"])
        for group in groups
        if f"/{PREFIX}" in group
    }
    assert '"reason":"unknown"' in texts[f"/aws/lambda/{PREFIX}-authorizer"]
    assert "response_sent" in texts[f"/aws/lambda/{PREFIX}-api"]
    for secret in (key, wrong, digest_of(key), digest_of(wrong)):
        assert [group for group, text in texts.items() if secret[4:24] in text] == []
