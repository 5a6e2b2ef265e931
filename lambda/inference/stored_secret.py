"""A secret that is stored in AWS and read by reference: from Secrets Manager, or a parameter of SSM.

It is read again after a while, so a rotation needs no deployment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from inference.errors import Unavailable

AGAIN_SECONDS = 10
"""A fresh value is not asked for more often: a wrong one would be read with every request."""

_Value = TypeVar("_Value")


class StoredSecret(Generic[_Value]):
    """The current value of a secret.

    Args:
        reference: ARN of a secret of Secrets Manager, or of a parameter of SSM.
        parse: makes the value of the stored text. Raises ConfigurationError.
        client: makes the client of a service by its name.
        kept_seconds: for how long a value is used without reading it again.
        clock: seconds.
    """

    def __init__(
        self,
        reference: str,
        parse: Callable[[str], _Value],
        client: Callable[[str], Any],
        kept_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reference = reference
        self._parse = parse
        self._client = client
        self._kept_seconds = kept_seconds
        self._clock = clock
        self._known: _Value | None = None
        self._read_at = 0.0

    def value(self, *, fresh: bool = False) -> _Value:
        """The value, read within the last `kept_seconds`; `fresh`: within the last ten. If that fails, the one that was
        read before.

        Raises:
            Unavailable: it could not be read, and none was before.
            ConfigurationError: the stored text is no such secret.
        """
        age = self._clock() - self._read_at
        if self._known is not None and age < (AGAIN_SECONDS if fresh else self._kept_seconds):
            return self._known
        try:
            text = self._read()
        except (ClientError, BotoCoreError) as error:
            if self._known is None:
                raise Unavailable(f"could not read {self._reference}: {error}") from error
        else:
            self._known = self._parse(text)
        self._read_at = self._clock()
        return self._known

    def _read(self) -> str:
        service = self._reference.split(":")[2]
        if service == "ssm":
            name = self._reference.split(":parameter", 1)[1]
            answer = self._client("ssm").get_parameter(Name=name, WithDecryption=True)
            return str(answer["Parameter"]["Value"])
        return str(self._client("secretsmanager").get_secret_value(SecretId=self._reference)["SecretString"])
