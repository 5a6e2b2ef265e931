"""The secrets that webhooks are signed with: one, or two while they are rotated (`signature.parse_secrets`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from inference.stored_secret import StoredSecret
from inference.webhooks.signature import parse_secrets

KEPT_SECONDS = 300


class Secrets:
    """The live secrets.

    Args:
        reference, client, clock: as `StoredSecret` has them.
    """

    def __init__(
        self, reference: str, client: Callable[[str], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stored = StoredSecret(reference, parse_secrets, client, KEPT_SECONDS, clock)

    def __call__(self) -> Sequence[bytes]:
        """The live secrets. Raises as `StoredSecret.value`."""
        return self._stored.value()
