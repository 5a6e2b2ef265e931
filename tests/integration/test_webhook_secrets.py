"""The secrets of webhooks, read by reference, and read again after a rotation."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from inference.aws import clients
from inference.errors import ConfigurationError, Unavailable
from inference.webhooks.secrets import KEPT_SECONDS, Secrets

OLD, NEW = ("whsec_" + base64.b64encode(bytes([number]) * 24).decode() for number in (1, 2))


class Seconds:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def of_secrets_manager(name: str) -> tuple[str, Callable[[str], Any]]:
    """A new secret: its ARN, and what writes another value."""
    client = clients.client("secretsmanager")
    arn = client.create_secret(Name=name, SecretString=OLD)["ARN"]
    return arn, lambda text: client.put_secret_value(SecretId=arn, SecretString=text)


def of_ssm(name: str) -> tuple[str, Callable[[str], Any]]:
    client = clients.client("ssm")
    path = f"/hooks/{name}"

    def put(text: str) -> None:
        client.put_parameter(Name=path, Value=text, Type="SecureString", Overwrite=True)

    put(OLD)
    return client.get_parameter(Name=path)["Parameter"]["ARN"], put


@pytest.mark.parametrize("store", [of_secrets_manager, of_ssm])
def test_they_are_read_and_read_again(on_moto: None, store: Callable[[str], Any]) -> None:
    arn, put = store("rotated")
    clock = Seconds()
    secrets = Secrets(arn, clients.client, clock)
    assert secrets() == (b"\x01" * 24,)
    put(f"{NEW} {OLD}")
    clock.now += KEPT_SECONDS - 1
    assert secrets() == (b"\x01" * 24,), "kept"
    clock.now += 1
    assert secrets() == (b"\x02" * 24, b"\x01" * 24)


def test_a_parameter_without_a_path(on_moto: None) -> None:
    client = clients.client("ssm")
    client.put_parameter(Name="hooks-secret", Value=OLD, Type="SecureString")
    arn = client.get_parameter(Name="hooks-secret")["Parameter"]["ARN"]
    assert Secrets(arn, clients.client)() == (b"\x01" * 24,)


@pytest.mark.parametrize("store", ["secretsmanager:us-east-1:123456789012:secret:gone", "ssm:us-east-1:1:parameter/no"])
def test_one_that_is_not_there(on_moto: None, store: str) -> None:
    with pytest.raises(Unavailable, match=f"could not read arn:aws:{store}"):
        Secrets(f"arn:aws:{store}", clients.client)()


def test_a_failure_later_leaves_those_that_are_known(on_moto: None) -> None:
    arn, _ = of_secrets_manager("deleted")
    clock = Seconds()
    secrets = Secrets(arn, clients.client, clock)
    known = secrets()
    clients.client("secretsmanager").delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    clock.now += KEPT_SECONDS
    assert secrets() == known


def test_a_text_that_is_no_secret(on_moto: None) -> None:
    arn, put = of_secrets_manager("wrong")
    put("hunter2")
    with pytest.raises(ConfigurationError) as error:
        Secrets(arn, clients.client)()
    assert "hunter2" not in str(error.value)
