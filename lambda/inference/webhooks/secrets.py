"""The secrets that webhooks are signed with, read by reference: from Secrets Manager, or a parameter of SSM.

The stored text is one secret, or two while they are rotated (`signature.parse_secrets`). It is read again after
`KEPT_SECONDS`, so a rotation needs no deployment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from inference.errors import Unavailable
from inference.webhooks.signature import parse_secrets

KEPT_SECONDS = 300


class Secrets:
    """The live secrets.

    Args:
        reference: ARN of a secret of Secrets Manager, or of a parameter of SSM.
        client: makes the client of a service by its name.
        clock: seconds.
    """

    def __init__(
        self, reference: str, client: Callable[[str], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reference = reference
        self._client = client
        self._clock = clock
        self._known: tuple[bytes, ...] = ()
        self._read_at = 0.0

    def __call__(self) -> Sequence[bytes]:
        """The live secrets, read within the last `KEPT_SECONDS`; if that fails, those that were read before.

        Raises:
            Unavailable: they could not be read, and none were before.
            ConfigurationError: the stored text is no secret.
        """
        if self._known and self._clock() - self._read_at < KEPT_SECONDS:
            return self._known
        try:
            text = self._read()
        except (ClientError, BotoCoreError) as error:
            if not self._known:
                raise Unavailable(f"could not read {self._reference}: {error}") from error
        else:
            self._known = parse_secrets(text)
        self._read_at = self._clock()
        return self._known

    def _read(self) -> str:
        service = self._reference.split(":")[2]
        if service == "ssm":
            name = self._reference.split(":parameter", 1)[1]
            answer = self._client("ssm").get_parameter(Name=name, WithDecryption=True)
            return str(answer["Parameter"]["Value"])
        return str(self._client("secretsmanager").get_secret_value(SecretId=self._reference)["SecretString"])
