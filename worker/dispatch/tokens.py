"""The secret that a provider is called with: its token, and what else belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from inference.errors import ConfigurationError
from inference.stored_secret import StoredSecret

KEPT_SECONDS = 900
"""A token that the provider rejects is read again at once."""


class StoredToken:
    """A provider's secret in Secrets Manager, or in a parameter of SSM.

    Args:
        reference, client: as `StoredSecret` has them.
    """

    def __init__(self, reference: str, client: Callable[[str], Any]) -> None:
        self._stored = StoredSecret(reference, lambda text: parse_secret(text, reference), client, KEPT_SECONDS)

    def secret(self, *, fresh: bool = False) -> Mapping[str, str]:
        """The secret's members, `token` among them. `fresh`: the provider has rejected the token.

        Raises:
            Unavailable: it could not be read.
            ConfigurationError: it has no token.
        """
        return self._stored.value(fresh=fresh)


def parse_secret(text: str, reference: str) -> Mapping[str, str]:
    """A secret's members: those of a JSON object, or the text as `token`.

    Raises:
        ConfigurationError: it has no token, or a member that is no text. The message has nothing of the secret.
    """
    if not text.lstrip().startswith("{"):
        members: Any = {"token": text.strip()}
    else:
        try:
            members = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{reference} begins with a brace, but is not JSON") from error
    if not all(isinstance(value, str) for value in members.values()):
        raise ConfigurationError(f"{reference} has a member that is not a string")
    if not members.get("token"):
        raise ConfigurationError(f"{reference} has no token: store the token itself, or JSON with a member token")
    return dict(members)
