"""A client's choice of a webhook: the header Webhook-URL, `?webhook=`, or the deployment's default."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from inference.errors import InvalidWebhook
from inference.requests import WebhookState
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS

MAX_URL_CHARACTERS = 2_048
NONE = "none"
"""Instead of a URL: no webhook, also where the deployment has a default."""

_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class WebhookOptions(NamedTuple):
    """What a deployment says of webhooks. `allow_loopback` is for tests: receivers on this machine, also without
    TLS."""

    default_url: str | None = None
    allow_loopback: bool = False


def chosen_url(header: str | None, parameter: str | None, options: WebhookOptions | None) -> str | None:
    """The URL that a client gave, `NONE` if it wants none, or None if it gave nothing.

    Args:
        header: the value of Webhook-URL. parameter: the value of `?webhook=`.
        options: None where the deployment has no webhooks.

    Raises:
        InvalidWebhook: the two differ, the URL is not one that webhooks are sent to, or the deployment has no webhooks.
    """
    given = {value.strip(" ") for value in (header, parameter) if value is not None}
    if not given:
        return None
    if len(given) > 1:
        raise InvalidWebhook("Webhook-URL and ?webhook= differ; send one of them.")
    (url,) = given
    if url == NONE:
        return NONE
    if options is None:
        raise InvalidWebhook("This deployment has no webhooks; send the request without one, and poll its status.")
    return check_url(url, options.allow_loopback)


def new_webhook(chosen: str | None, default: str | None, expires_at: int) -> dict[str, Any]:
    """The fields of the webhook of a new request or batch; none if it has no webhook. When it is due is the deadline,
    by which it is final: if the webhook was not sent by then, a message about it was lost.

    Args:
        chosen: as `chosen_url` returns it. default: the deployment's URL.
        expires_at: epoch milliseconds.
    """
    url = default if chosen is None else chosen
    if url is None or url == NONE:
        return {}
    return {
        "webhook_url": url,
        "webhook_state": WebhookState.WAITING,
        "webhook_attempts": 0,
        "webhook_attempt_limit": MAX_DELIVERIES,
        "webhook_due": expires_at + MESSAGE_GRACE_MS,
    }


def check_url(url: str, allow_loopback: bool = False) -> str:
    """A URL that webhooks can be sent to, as it was given. Its host's name is resolved when a webhook is sent.

    Raises:
        InvalidWebhook: says what is wrong.
    """
    # Here, because every function imports this module with its settings: without these two it starts 5 ms earlier.
    from urllib.parse import urlsplit

    from inference.webhooks.addresses import is_allowed, literal_address

    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidWebhook(
            f"The webhook's URL has {len(url):,} characters; at most {MAX_URL_CHARACTERS:,} may be sent."
        )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidWebhook("The webhook's URL must be printable ASCII without spaces: percent-encode it.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidWebhook(f"The webhook's URL can't be read: {error}.") from error
    schemes = ("https", "http") if allow_loopback else ("https",)
    if parts.scheme not in schemes:
        raise InvalidWebhook("The webhook's URL must begin with https://.")
    if "@" in parts.netloc:
        raise InvalidWebhook("The webhook's URL must have no user name or password; webhooks are signed instead.")
    if not _HOST.fullmatch(parts.netloc) or port == 0:
        raise InvalidWebhook("The webhook's URL has no host, or one with characters that host names do not have.")
    if "#" in url:
        raise InvalidWebhook("The webhook's URL must have no fragment (#...): it would not be sent.")
    address = literal_address(host)
    if address is not None and not is_allowed(address, allow_loopback):
        raise InvalidWebhook("The webhook's URL has an address that is not public.")
    return url
