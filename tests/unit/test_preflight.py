"""What is missing for a deployment is said in one round, each with its remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from scripts.console import CommandError
from scripts.deployment import account_limits, preflight, terraform
from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig, WorkerLimits
from scripts.packaging.builders import Builder

BACKEND = 'bucket = "states"\nkey = "a/dev.tfstate"\nregion = "eu-west-1"\n'

CONFIG = EnvironmentConfig(
    "x86_64", {"mine": ConfiguredModel("mine", Path("mine"))}, limits={"mine": WorkerLimits(maximum_concurrency=50)}
)


def models(**limits: int) -> EnvironmentConfig:
    """An environment of two models with the same limits."""
    return EnvironmentConfig(
        "x86_64",
        {name: ConfiguredModel(name, Path(name)) for name in ("a", "b")},
        limits=dict.fromkeys(("a", "b"), WorkerLimits(**limits)),
    )


class Account:
    """Plays AWS."""

    def __init__(self, concurrency: int = 1000) -> None:
        self.concurrency = concurrency
        self.errors: dict[str, Exception] = {}
        self.asked: list[tuple[str, str | None]] = []

    def client(self, service: str, region: str | None) -> Any:
        self.asked.append((service, region))
        return self

    def _answer(self, operation: str) -> None:
        if operation in self.errors:
            raise self.errors[operation]

    def get_caller_identity(self) -> None:
        self._answer("identity")

    def head_bucket(self, *, Bucket: str) -> None:
        assert Bucket == "states"
        self._answer("bucket")

    def get_account_settings(self) -> dict[str, Any]:
        self._answer("limits")
        return {"AccountLimit": {"ConcurrentExecutions": self.concurrency}}


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "dev"
    folder.mkdir()
    (folder / "backend.hcl").write_text(BACKEND)
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(terraform, "environment_env", lambda name: {})
    monkeypatch.setattr(preflight, "find_builder", lambda choice: Builder(choice or "podman"))
    return folder


def rejected(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "HeadBucket")


def test_what_is_there_is_taken(dev: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = Account()
    assert preflight.check("dev", CONFIG, None, account.client) == Builder("podman")
    assert ("s3", "eu-west-1") in account.asked
    assert capsys.readouterr().err == ""


def test_everything_that_is_missing_is_said_at_once(dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(choice: str | None) -> Builder:
        raise CommandError("no image builder: install one of docker, podman, buildah")

    monkeypatch.setattr(preflight, "find_builder", none)
    (dev / "backend.hcl").unlink()
    account = Account()
    account.errors["identity"] = NoCredentialsError()
    with pytest.raises(CommandError) as failure:
        preflight.check("dev", CONFIG, None, account.client)
    text = str(failure.value)
    assert text.startswith("dev can't be deployed yet:")
    for said in ("no image builder", "backend.hcl is missing", "no AWS credentials were found"):
        assert f"\n  - {said}" in text or said in text
    assert text.count("\n  - ") == 3


def test_a_bucket_that_is_not_there_is_named(dev: Path) -> None:
    account = Account()
    account.errors["bucket"] = rejected("404")
    with pytest.raises(CommandError, match=r"the state bucket states can't be used"):
        preflight.check("dev", CONFIG, None, account.client)


def test_a_new_accounts_concurrency_is_told_before_anything_fails(
    dev: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preflight.check("dev", CONFIG, None, Account(concurrency=10).client)
    said = capsys.readouterr().err
    assert "runs 10 functions at a time, and the workers' maximum_concurrency adds up to 50" in said
    assert "docs/deploy.md, Limits of the account" in said


def test_what_lambda_will_reject_stops_the_deployment(dev: Path) -> None:
    with pytest.raises(CommandError, match=r"concurrency of a \(1\), b \(1\) need more than this account's 10 exec"):
        preflight.check("dev", models(provisioned_concurrency=1), None, Account(concurrency=10).client)


def test_concurrency_that_fits_is_not_mentioned() -> None:
    assert account_limits.warnings(models(maximum_concurrency=40), 100) == []
    (warning,) = account_limits.warnings(models(maximum_concurrency=50), 100)
    assert "adds up to 100: keep the sum below it" in warning
    assert account_limits.problems(models(reserved_concurrency=45), 100) == []
    assert account_limits.problems(models(reserved_concurrency=46), 100) != []
    assert account_limits.problems(models(reserved_concurrency=30, provisioned_concurrency=30), 100) == [], (
        "one in another"
    )


def test_a_new_accounts_memory_is_told_where_the_concurrency_is_a_new_accounts() -> None:
    (warning,) = account_limits.warnings(models(memory_mb=4096), 10)
    assert "more than 3,008 MB, as a (4,096 MB), b (4,096 MB)" in warning
    assert account_limits.warnings(models(memory_mb=3008), 10) == []
    assert account_limits.warnings(models(memory_mb=4096), 1000) == []


def test_limits_that_may_not_be_read_stop_nothing(dev: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = Account()
    account.errors["limits"] = rejected("AccessDeniedException")
    preflight.check("dev", CONFIG, None, account.client)
    assert "limits can't be read" in capsys.readouterr().err
