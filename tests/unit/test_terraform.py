"""Finding Terraform, and what is checked before it runs on an environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.console import CommandError
from scripts.deployment import terraform, terraform_errors
from scripts.local import emulator
from scripts.local.emulator import Emulator


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No Terraform settings of this machine."""
    for name in ("TF", "TF_PROVIDER_MIRROR", "TF_CLI_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    found = terraform.terraform_binary  # a test may put another in its place
    found.cache_clear()
    yield
    found.cache_clear()


def binary(folder: Path, name: str, version: str) -> None:
    """A program that says it is that version of Terraform."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\necho \'{{"terraform_version": "{version}"}}\'\n')
    path.chmod(0o755)


@pytest.mark.parametrize("version", ["1.10.0", "1.11.4", "2.0.0", "1.12.0-beta1"])
def test_a_new_enough_terraform_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    binary(tmp_path / "bin", "terraform", version)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert terraform.terraform_binary() == str(tmp_path / "bin" / "terraform")


def test_tf_names_another_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary(tmp_path / "bin", "tofu", "1.10.1")
    monkeypatch.setenv("TF", str(tmp_path / "bin" / "tofu"))
    assert terraform.terraform_binary().endswith("/tofu")
    assert terraform_errors.registry_host() == "registry.opentofu.org"


@pytest.mark.parametrize("version", ["1.9.8", "0.15.0"])
def test_an_old_terraform_is_named_with_the_version_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    binary(tmp_path / "bin", "terraform", version)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(CommandError, match=rf"is version {version}: Terraform >= 1\.10 is needed"):
        terraform.terraform_binary()


def test_a_missing_terraform_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF", "no-such-terraform")
    with pytest.raises(CommandError) as failure:
        terraform.terraform_binary()
    assert "no-such-terraform is not installed" in str(failure.value)
    assert "TF=tofu" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_an_unknown_environment_is_named_with_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    (tmp_path / "dev").mkdir()
    with pytest.raises(CommandError, match=r"no environment staging: ENV is one of dev$") as failure:
        terraform.execute("plan", "staging")
    assert failure.value.code == 2


def test_a_remote_environment_without_its_backend_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "ROOT", tmp_path)
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    (tmp_path / "dev").mkdir()
    binary(tmp_path / "bin", "terraform", "1.11.4")
    monkeypatch.setenv("TF", str(tmp_path / "bin" / "terraform"))
    with pytest.raises(CommandError, match=r"^dev/backend\.hcl is missing: .* copy backend\.hcl\.example"):
        terraform.execute("init", "dev")


def test_a_state_of_an_emulator_that_has_ended_is_dropped_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "terraform.tfstate"
    local = Emulator(4999, tmp_path / "emulator")
    runs = {"first": "1-1", "second": "2-2"}
    for run, instance in runs.items():
        monkeypatch.setattr(Emulator, "instance", instance)
        terraform._forget_lost_state(tmp_path, local)
        assert not state.exists(), run
        state.write_text("{}")
        terraform._forget_lost_state(tmp_path, local)
        assert state.exists(), "the same emulator still has what the state says"


def test_a_backend_that_was_not_filled_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform, "ROOT", tmp_path)
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "backend.hcl").write_text('bucket = "<bucket for Terraform states>"\nregion = "eu-west-1"\n')
    binary(tmp_path / "bin", "terraform", "1.11.4")
    monkeypatch.setenv("TF", str(tmp_path / "bin" / "terraform"))
    with pytest.raises(CommandError, match=r"^dev/backend\.hcl still has <bucket for Terraform states>: fill it in$"):
        terraform.execute("init", "dev")


@pytest.mark.parametrize(("deployed", "code", "stopped"), [(False, 130, True), (True, 130, False), (False, 1, False)])
def test_a_first_apply_that_was_interrupted_leaves_no_half_an_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployed: bool, code: int, stopped: bool
) -> None:
    """What was being created may exist, unknown to the state; where something was deployed, requests may be in it."""
    stops: list[bool] = []

    class Running(emulator.Emulator):
        instance = "one"

        def start(self) -> bool:
            return False

        def stop(self) -> bool:
            stops.append(True)
            return True

    folder = tmp_path / "local"
    (folder / ".terraform").mkdir(parents=True)
    (folder / ".terraform" / "emulator").write_text("one")
    if deployed:
        (folder / "terraform.tfstate").write_text("{}")
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(terraform, "terraform_binary", lambda: "terraform")
    monkeypatch.setattr(terraform, "_is_initialised", lambda folder, env: True)
    monkeypatch.setattr(terraform, "stream", lambda *arguments, **options: code)
    monkeypatch.setattr(emulator, "current", lambda: Running(4999, tmp_path / "emulator"))
    assert terraform.execute("apply", "local") == code
    assert stops == [True] * stopped
