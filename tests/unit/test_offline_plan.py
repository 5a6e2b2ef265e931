"""When a plan is made offline: only when the user says so, or where nothing names an account."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.console import CommandError
from scripts.deployment import apply, offline_plan, terraform, terraform_errors


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone, in a shell that knows nothing of AWS: the folder of its environments."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for environment in ("local", "dev", "prod"):
        (tmp_path / environment).mkdir()
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    return tmp_path


def test_a_fresh_clone_plans_dev_and_prod_offline(clone: Path) -> None:
    assert offline_plan.chosen("prod", None)
    assert offline_plan.chosen("dev", "")
    assert not offline_plan.chosen("local", None), "which has an emulator"


def test_whoever_names_an_account_gets_no_plan_of_another(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / "dev" / "backend.hcl").write_text("", encoding="utf-8")
    assert not offline_plan.chosen("dev", None), "a backend is there: its state counts"
    assert offline_plan.chosen("prod", None)
    monkeypatch.setenv("AWS_PROFILE", "mine")  # whether or not one can log in with it
    assert not offline_plan.chosen("prod", None)
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert not offline_plan.chosen("prod", None)
    assert offline_plan.chosen("prod", "1")


def test_the_option_wins_and_is_1_or_0(clone: Path) -> None:
    assert not offline_plan.chosen("prod", "0")
    assert offline_plan.chosen("local", "1")
    with pytest.raises(CommandError, match="OFFLINE=yes is neither 1 nor 0"):
        offline_plan.chosen("prod", "yes")


def test_an_offline_plan_is_not_kept_for_an_apply(clone: Path) -> None:
    with pytest.raises(CommandError, match="can't be applied"):
        offline_plan.plan("prod", ["-out=plan"])


def test_a_plan_goes_offline_and_an_apply_never_does(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def plan(environment: str, arguments: Sequence[str]) -> int:
        done.append(f"offline {environment} {' '.join(arguments)}")
        return 2

    def online(environment: str, arguments: Sequence[str], *, plan: bool) -> int:
        done.append(f"{'plan' if plan else 'apply'} {environment}")
        return 0

    monkeypatch.setattr(offline_plan, "plan", plan)
    monkeypatch.setattr(apply, "apply", online)
    for arguments, code in (
        (["--plan", "--env", "prod", "-detailed-exitcode"], 2),
        (["--plan", "--env", "prod", "--offline=0"], 0),
        (["--env", "prod", "--offline=1"], 0),
    ):
        monkeypatch.setattr("sys.argv", ["apply", *arguments])
        assert apply.main() == code
    assert done == ["offline prod -detailed-exitcode", "plan prod", "apply prod"]


def test_who_has_no_account_learns_of_it_where_a_plan_fails(clone: Path) -> None:
    with pytest.raises(CommandError, match="`make plan ENV=dev OFFLINE=1` needs none"):
        terraform.check_backend(clone / "dev", "dev")
    told = terraform_errors.remedy("Error: No valid credential sources found", "prod")
    assert told is not None
    assert "`make plan ENV=prod OFFLINE=1`" in told
