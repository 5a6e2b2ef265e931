"""Whose credentials sign, and for which region: the host's where it names one."""

from collections.abc import Mapping

import pytest

from scripts.console import CommandError
from scripts.operate.client_signing import region_in, signer


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def signed(url: str, region: str | None = None) -> Mapping[str, str]:
    sign = signer(url, required=True, region=region)
    assert sign is not None
    return sign("POST", f"{url}/predict", b"{}", {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("abc.execute-api.eu-west-1.amazonaws.com", "eu-west-1"),
        ("abc.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("abc.execute-api.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("abc.execute-api.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ],
)
def test_the_host_names_the_region(host: str, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    headers = signed(f"https://{host}")
    assert f"/{region}/execute-api/aws4_request" in headers["Authorization"]
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_custom_domain_is_signed_for_the_shells_region_or_the_given_one(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "sa-east-1")
    assert "/sa-east-1/" in signed("https://api.example.org")["Authorization"]
    assert "/eu-north-1/" in signed("https://api.example.org", "eu-north-1")["Authorization"]


def test_no_region_is_guessed() -> None:
    with pytest.raises(CommandError, match=r"region, which api\.example\.org does not contain: give --region"):
        signed("https://api.example.org")


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566/_aws/execute-api/abc", "https://abc.execute-api.localhost"])
def test_an_emulator_is_in_no_region(url: str) -> None:
    assert region_in(url) is None
