"""What a backend's secret holds: the provider's token, and what its callbacks are verified with.

r8_...                                                       the token alone
{"token": "r8_...", "webhook_secret": "whsec_..."}           Replicate: its signing secret; Cog: WEBHOOK_AUTH_TOKEN;
                                                             Beam: the workspace's signing key
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from inference.errors import ConfigurationError

_MEMBERS = {"token", "webhook_secret"}


@dataclass(frozen=True)
class BackendSecret:
    """The token, and where the provider signs its callbacks, the secret of that."""

    token: str
    webhook_secret: str | None = None

    def __repr__(self) -> str:
        return "BackendSecret(...)"


def parse_secret(text: str) -> BackendSecret:
    """Read a stored text. Raises ConfigurationError, whose message never has the text."""
    text = text.strip()
    if not text.startswith("{"):
        return BackendSecret(_header(text, "token"))
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigurationError("the backend's secret begins as JSON does, and is none") from error
    if unknown := sorted(found.keys() - _MEMBERS):
        raise ConfigurationError(f"the backend's secret has unknown members: {', '.join(unknown)}")
    webhook_secret = found.get("webhook_secret")
    return BackendSecret(
        _header(found.get("token"), "token"),
        None if webhook_secret is None else _header(webhook_secret, "webhook_secret"),
    )


def _header(value: object, name: str) -> str:
    """A text that can be sent in a header: with a line break in it, a token would be two headers."""
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise ConfigurationError(f"{name} in the backend's secret must be printable text without line breaks")
    return value
