"""GET /docs in a browser, with each authorizer: what a caller fills in goes with every call."""

from __future__ import annotations

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from playwright.sync_api import Page, expect

from tests.integration.http_server import HttpServer

Served = tuple[HttpServer, str]

CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token/+==")
REGION = "eu-west-1"


def is_signed(method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the signature is the one that botocore makes of the call."""
    time = headers.get("x-amz-date")
    if time is None:
        return False
    request = AWSRequest(method, f"http://{headers['host']}{path}", data=body or None)
    request.context["timestamp"] = time
    request.headers["X-Amz-Date"] = time
    request.headers["X-Amz-Security-Token"] = headers["x-amz-security-token"]
    auth = SigV4Auth(CREDENTIALS, "execute-api", REGION)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return headers["authorization"].endswith(f"Signature={signature}")


def try_it(page: Page) -> None:
    page.get_by_label("text").fill("what a lovely day")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#status")).to_have_text("succeeded")


@pytest.mark.parametrize("served", ["JWT"], indirect=True)
def test_a_token(served: Served, page: Page) -> None:
    served[0].lets_in = lambda method, path, headers, body: headers.get("authorization") == "Bearer abc"
    page.reload()
    expect(page.get_by_text("say who you are")).to_be_visible()
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.get_by_text("403: Not allowed")).to_be_visible()
    page.get_by_label("Token").fill("abc")
    page.get_by_role("button", name="Load", exact=True).click()
    try_it(page)
    page.get_by_text("The same call with curl").click()
    expect(page.get_by_label("Command")).to_contain_text('-H "Authorization: Bearer $API_TOKEN"')
    page.reload()
    expect(page.get_by_label("Token")).to_have_value("")


@pytest.mark.parametrize("served", ["AWS_IAM"], indirect=True)
def test_a_signature(served: Served, page: Page) -> None:
    served[0].lets_in = is_signed
    page.reload()
    expect(page.get_by_text("say who you are")).to_be_visible()
    page.get_by_label("Access key ID").fill(CREDENTIALS.access_key)
    page.get_by_label("Secret access key").fill(CREDENTIALS.secret_key)
    page.get_by_label("Session token").fill(CREDENTIALS.token or "")
    page.get_by_label("Region").fill(REGION)
    page.get_by_role("button", name="Load", exact=True).click()
    try_it(page)
    page.get_by_label("Secret access key").fill("another")
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.get_by_text("403: Not allowed")).to_be_visible()


@pytest.mark.parametrize("served", ["API_KEY"], indirect=True)
def test_an_api_key(served: Served, page: Page) -> None:
    served[0].lets_in = lambda method, path, headers, body: headers.get("x-api-key") == "abc"
    page.reload()
    page.get_by_label("Key (X-Api-Key)").fill("abc")
    page.get_by_role("button", name="Load", exact=True).click()
    try_it(page)
