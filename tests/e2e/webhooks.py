"""What tests of webhooks need: the setting, and a receiver."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.e2e.deployment import Deployment
from tests.integration.receivers import Received, Receiver

SECRET = "whsec_" + base64.b64encode(b"secret of the end-to-end tests").decode()

Answer = Callable[[Received], tuple[int, Mapping[str, str]]]


def webhooks(deployment: Deployment, **settings: Any) -> dict[str, Any]:
    """The setting `webhooks`, for receivers on this machine. The secret is there before the stack, as on AWS."""
    secrets, name = deployment.client("secretsmanager"), "webhooks"
    with contextlib.suppress(secrets.exceptions.ResourceExistsException):
        secrets.create_secret(Name=name, SecretString=SECRET)
    arn = secrets.describe_secret(SecretId=name)["ARN"]
    return {"secret_arn": arn, "allow_loopback": True, **settings}


def verified(received: Received) -> dict[str, Any]:
    """The document of a delivery that this deployment has signed."""
    document: dict[str, Any] = Webhook(SECRET).verify(received.body, dict(received.headers))
    return document


class Hooks:
    """A receiver with a path for each test or request, what came there, and how it answers: 200 unless told."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.answers: dict[str, Answer] = {}
        receiver.answer = self._answer

    def _answer(self, received: Received) -> tuple[int, Mapping[str, str]]:
        answer = self.answers.get(received.path)
        return answer(received) if answer else (200, {})

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._receiver.port}{path}"

    def got(self, path: str) -> list[Received]:
        return [received for received in list(self._receiver.received) if received.path == path]

    def first(self, path: str, answer: tuple[int, Mapping[str, str]]) -> None:
        """Answer the first delivery like this."""
        self.answers[path] = lambda _: answer if len(self.got(path)) == 1 else (200, {})
