"""API keys on moto: the commands that make, list and revoke them, and what the authorizer says of each then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from inference.api_keys import ApiKey, digest_of
from inference.aws import clients
from inference.errors import Unavailable
from inference.store.key_table import KeyTable
from scripts.console import CommandError
from scripts.deployment import aws_session, terraform
from scripts.operate import api_keys
from tests.integration.aws_faults import ALWAYS, KINDS, AwsFault, injected
from tests.integration.system import KEY_TABLE, System
from tests.unit.fakes import NOW

Run = Callable[..., int]


@pytest.fixture
def run(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command, on a deployment with these keys."""
    deployed = {"api_keys": {"table": KEY_TABLE, "cache_seconds": 60}}
    monkeypatch.setattr(terraform, "outputs", lambda _: deployed)
    monkeypatch.setattr(aws_session, "client", lambda environment, service, outputs: clients.client(service))
    monkeypatch.setattr(api_keys, "now_ms", system.clock)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["api_keys", *arguments])
        return api_keys.main()

    yield run


@pytest.fixture
def make(run: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Makes a key; what is on stdout is the key and nothing else."""

    def make(*arguments: str) -> str:
        capsys.readouterr()
        assert run("make", *arguments) == 0
        (key,) = capsys.readouterr().out.splitlines()
        return key

    return make


def accepted(system: System, key: str) -> str | None:
    """The name that the authorizer gives a key; None if it is rejected."""
    answer = system.authorize(key)
    return answer["context"]["key_name"] if answer["isAuthorized"] else None


def test_a_key_that_was_made_is_accepted_and_not_kept(system: System, make: Callable[..., str]) -> None:
    key = make("web")
    assert accepted(system, key) == "web"
    (item,) = system.dynamodb.scan(TableName=KEY_TABLE)["Items"]
    assert item["key_hash"] == {"S": digest_of(key)}
    assert key.removeprefix("aik_") not in json.dumps(item)


def test_a_key_is_replaced_without_a_gap(
    system: System, run: Run, make: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    old = make("web")
    (first,) = system.keys.all()
    new = make("web")
    assert accepted(system, old) == accepted(system, new) == "web"
    with pytest.raises(CommandError, match=r"web has 2 keys: say which one \(ID="):
        run("revoke", "web")
    with pytest.raises(CommandError, match="web has 2 keys already: revoke one first"):
        run("make", "web")
    assert run("revoke", "web", "--id", first.key_id) == 0
    assert "rejected in 60 s at the latest" in capsys.readouterr().err
    assert (accepted(system, old), accepted(system, new)) == (None, "web")
    third = make("web")
    assert accepted(system, third) == "web"


def test_the_only_key_of_a_name_is_revoked_by_its_name_and_others_stay(
    system: System, run: Run, make: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    web, other = make("web"), make("other")
    assert run("revoke", "web") == 0
    (before,) = [key for key in system.keys.all() if key.name == "web"]
    assert (accepted(system, web), accepted(system, other)) == (None, "other")
    system.clock.advance(5)
    assert run("revoke", "web") == 0, "again changes nothing"
    assert "nothing to do" in capsys.readouterr().err
    assert before in set(system.keys.all())


def test_a_key_expires(system: System, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.authorizer, "now_ms", system.clock)
    key = make("web", "--days", "2")
    system.clock.advance(2 * 86_400 - 10)
    assert accepted(system, key) == "web"
    system.clock.advance(10)
    assert accepted(system, key) is None
    make("web")
    make("web")  # the expired one is not one of the two


def test_the_list_has_every_key_and_no_secret(
    system: System, run: Run, make: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [make("web"), make("batch", "--days", "1"), make("gone")]
    run("revoke", "gone")
    capsys.readouterr()
    assert run("list", "--json") == 0
    text = capsys.readouterr().out
    found = {key["name"]: key for key in map(json.loads, text.splitlines())}
    assert {name: key["state"] for name, key in found.items()} == {
        "batch": "accepted",
        "gone": "disabled",
        "web": "accepted",
    }
    assert found["batch"]["expires_at"] - found["batch"]["created_at"] == 86_400_000
    assert found["gone"]["disabled_at"] >= found["gone"]["created_at"]
    assert run("list") == 0
    table = capsys.readouterr().out
    assert [name for name in found if name not in table] == []
    for secret in [*(key[4:20] for key in keys), *(digest_of(key)[:16] for key in keys)]:
        assert secret not in text + table


@pytest.mark.parametrize("name", ["a b", "web:app", "-x", ""])
def test_a_name_that_can_be_none_is_rejected(run: Run, name: str) -> None:
    with pytest.raises((CommandError, SystemExit)) as failed:
        run("make", name) if not name.startswith("-") else run("make", "--", name)
    assert not isinstance(failed.value, CommandError) or failed.value.code == 2


def test_a_key_that_is_not_there_is_said(run: Run, make: Callable[..., str]) -> None:
    make("web")
    for arguments in (["other"], ["web", "--id", "00000000"]):
        with pytest.raises(CommandError, match="`make api-keys` lists them") as failed:
            run("revoke", *arguments)
        assert failed.value.code == 3


def test_a_deployment_with_another_authorizer_has_no_keys(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform, "outputs", lambda _: {"api_keys": None})
    with pytest.raises(CommandError, match=r"has no API keys: its authorizer is not"):
        run("list")


@pytest.mark.parametrize("kind", KINDS)
def test_without_an_answer_every_call_says_so(system: System, kind: str) -> None:
    table = KeyTable(system.dynamodb, KEY_TABLE)
    key = ApiKey("d" * 64, "1a2b3c4d", "web", NOW)
    calls: dict[str, Callable[[], object]] = {
        "GetItem": lambda: table.find(key.digest),
        "Scan": lambda: list(table.all()),
        "PutItem": lambda: table.create(key),
        "UpdateItem": lambda: table.disable(key.digest, NOW),
    }
    for operation, call in calls.items():
        with injected(AwsFault(operation, kind, times=ALWAYS)), pytest.raises(Unavailable, match="API key"):
            call()


def test_a_key_that_does_not_exist_is_not_made_by_disabling_it(system: System) -> None:
    with pytest.raises(Unavailable):
        system.keys.disable("d" * 64, NOW)
    assert list(system.keys.all()) == []


def test_a_hash_is_written_once(system: System) -> None:
    key = ApiKey("d" * 64, "1a2b3c4d", "web", NOW)
    system.keys.create(key)
    with pytest.raises(Unavailable):
        system.keys.create(key._replace(name="thief"))
    assert system.keys.find(key.digest) == key
