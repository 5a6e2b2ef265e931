"""Which URLs a client may give for a webhook, and how it says so."""

from __future__ import annotations

import pytest

from inference.errors import InvalidWebhook
from inference.webhooks.options import MAX_URL_CHARACTERS, NONE, WebhookOptions, check_url, chosen_url

URL = "https://example.com/hook?token=1"
ON = WebhookOptions()


@pytest.mark.parametrize(
    ("header", "parameter", "expected"),
    [
        (None, None, None),
        (URL, None, URL),
        (None, URL, URL),
        (URL, URL, URL),
        (f" {URL} ", URL, URL),
        (NONE, None, NONE),
        (None, NONE, NONE),
    ],
)
def test_the_header_or_the_parameter(header: str | None, parameter: str | None, expected: str | None) -> None:
    assert chosen_url(header, parameter, ON) == expected


def test_two_that_differ_are_rejected() -> None:
    with pytest.raises(InvalidWebhook, match="differ"):
        chosen_url(URL, URL + "2", ON)


def test_a_deployment_without_webhooks_says_so() -> None:
    assert chosen_url(None, None, None) is None
    assert chosen_url(NONE, None, None) == NONE
    with pytest.raises(InvalidWebhook, match="has no webhooks"):
        chosen_url(URL, None, None)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/a/b?c=%20d",
        "https://EXAMPLE.com/",
        "https://93.184.216.34/x",
        "https://[2606:2800:220:1::1]:444/x",
        "https://xn--bcher-kva.example/",
        "https://a_b.example/",
        "https://example.com/" + "a" * (MAX_URL_CHARACTERS - 20),
    ],
)
def test_urls_of_receivers(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "https"),
        ("example.com", "https"),
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://:443/", "no host"),
        ("https://example.com:0/", "no host"),
        ("https://example.com:99999/", "can't be read"),
        ("https://example.com:4x/", "can't be read"),
        ("https://[::1/", "can't be read"),
        ("https://user:secret@example.com/", "user name"),
        ("https://example.com\\@evil.com/", "user name"),
        ("https://exam ple.com/", "printable"),
        ("https://example.com/\n", "printable"),
        ("https://example.com/\x7f", "printable"),
        ("https://bücher.example/", "printable"),
        ("https://①②⑦.⓪.⓪.①/", "printable"),
        ("https://example.com/#part", "fragment"),
        ("https://exa%6dple.com/", "characters"),
        ("https://example.com/" + "a" * MAX_URL_CHARACTERS, "at most 2,048"),
        ("https://127.0.0.1/", "not public"),
        ("https://10.1.2.3/", "not public"),
        ("https://169.254.169.254/latest/meta-data/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[fd00:ec2::254]/", "not public"),
        ("https://[::ffff:169.254.169.254]/", "not public"),
    ],
)
def test_what_is_no_receivers_url(url: str, reason: str) -> None:
    with pytest.raises(InvalidWebhook, match=reason):
        check_url(url)


def test_loopback_for_tests() -> None:
    for url in ("http://127.0.0.1:8000/hook", "https://localhost:8443/", "http://[::1]:80/"):
        assert check_url(url, allow_loopback=True) == url
    with pytest.raises(InvalidWebhook, match="not public"):
        check_url("http://169.254.169.254/", allow_loopback=True)
