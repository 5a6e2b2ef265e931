"""Finding Terraform and the AWS provider, and what the user is told when one is not there."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import emulator, provider_mirror, terraform, terraform_errors
from scripts.console import CommandError
from scripts.emulator import Emulator
from scripts.provider_mirror import provider_env

HOST = "registry.terraform.io"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No Terraform settings of this machine, and a home of our own."""
    for name in ("TF", "TF_PROVIDER_MIRROR", "TF_CLI_CONFIG_FILE", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(provider_mirror, "SEARCHED", tmp_path / "places")
    monkeypatch.setattr(provider_mirror, "CONFIG", tmp_path / "build" / "cli.tfrc")
    monkeypatch.setattr(provider_mirror, "CACHE", tmp_path / "build" / "plugins")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
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


def mirror(folder: Path, version: str, *, host: str = HOST, packed: bool = False) -> Path:
    provider = folder / host / "hashicorp" / "aws"
    provider.mkdir(parents=True, exist_ok=True)
    if packed:
        (provider / f"terraform-provider-aws_{version}_linux_amd64.zip").touch()
    else:
        (provider / version / "linux_amd64").mkdir(parents=True)
    return folder


def pinned(folder: Path, version: str) -> Path:
    """The folder of the environments, of which one pins this version."""
    environment = folder / f"pins-{version}"
    environment.mkdir(parents=True, exist_ok=True)
    block = f'aws = {{\n source = "hashicorp/aws"\n version = "{version}"\n }}'
    (environment / "main.tf").write_text(f"terraform {{\n required_providers {{\n {block}\n }}\n}}\n")
    return folder


def find(tmp_path: Path, base: dict[str, str] | None = None, version: str = "5.100.0") -> dict[str, str]:
    env = {"HOME": os.environ["HOME"], "XDG_DATA_DIRS": str(tmp_path / "share"), **(base or {})}
    return provider_env(env, host=HOST, environments=pinned(tmp_path / "environments", version))


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


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["home/.terraform.d/plugins", "share/terraform/plugins", "places/any-name"])
def test_a_mirror_is_found_where_terraform_looks_and_in_opt(tmp_path: Path, place: str, packed: bool) -> None:
    mirror(tmp_path / place, "5.100.0", packed=packed)
    env = find(tmp_path)
    config = Path(env["TF_CLI_CONFIG_FILE"]).read_text()
    assert f'path    = "{tmp_path / place}"' in config
    assert f'include = ["{HOST}/hashicorp/aws"]' in config
    assert f'exclude = ["{HOST}/hashicorp/aws"]' in config


def test_terraforms_own_places_come_before_the_search(tmp_path: Path) -> None:
    mirror(tmp_path / "places" / "a", "5.100.0")
    implied = mirror(tmp_path / "data" / "terraform" / "plugins", "5.100.0")
    env = find(tmp_path, {"XDG_DATA_HOME": str(tmp_path / "data")})
    assert str(implied) in Path(env["TF_CLI_CONFIG_FILE"]).read_text()


@pytest.mark.parametrize("version", ["5.99.0", "6.1.0", "5.100.00"])
def test_a_mirror_without_the_version_that_is_pinned_is_passed_over(tmp_path: Path, version: str) -> None:
    mirror(tmp_path / "places" / "a", version)
    assert "TF_CLI_CONFIG_FILE" not in find(tmp_path)


def test_environments_that_pin_different_versions_are_an_error(tmp_path: Path) -> None:
    pinned(tmp_path / "environments", "5.99.0")
    with pytest.raises(CommandError, match=r"must pin one version of hashicorp/aws, not 5\.100\.0 and 5\.99\.0"):
        find(tmp_path)


def test_this_repositorys_environments_pin_one_version() -> None:
    assert provider_mirror.pinned_version(provider_mirror.ENVIRONMENTS)


def test_without_a_mirror_the_registry_serves_and_one_copy_is_kept(tmp_path: Path) -> None:
    env = find(tmp_path)
    assert "TF_CLI_CONFIG_FILE" not in env
    assert env["TF_PLUGIN_CACHE_DIR"] == str(tmp_path / "build" / "plugins")


def test_the_variable_comes_first(tmp_path: Path) -> None:
    mirror(tmp_path / "places" / "a", "5.100.0")
    wanted = mirror(tmp_path / "wanted", "5.100.0")
    env = find(tmp_path, {"TF_PROVIDER_MIRROR": str(wanted)})
    assert str(wanted) in Path(env["TF_CLI_CONFIG_FILE"]).read_text()


def test_a_variable_that_names_no_mirror_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        CommandError, match=r"^TF_PROVIDER_MIRROR=/nowhere has no .*hashicorp/aws 5\.100\.0 for linux_amd64"
    ):
        find(tmp_path, {"TF_PROVIDER_MIRROR": "/nowhere"})


def test_the_users_own_configuration_is_left_alone(tmp_path: Path) -> None:
    mirror(tmp_path / "places" / "a", "5.100.0")
    own = tmp_path / "own.tfrc"
    own.touch()
    assert find(tmp_path, {"TF_CLI_CONFIG_FILE": str(own)})["TF_CLI_CONFIG_FILE"] == str(own)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".terraformrc").touch()
    assert "TF_CLI_CONFIG_FILE" not in find(tmp_path)


def test_a_configuration_that_does_not_exist_counts_as_none(tmp_path: Path) -> None:
    mirror(tmp_path / "places" / "a", "5.100.0")
    env = find(tmp_path, {"TF_CLI_CONFIG_FILE": str(tmp_path / "gone")})
    assert env["TF_CLI_CONFIG_FILE"] == str(tmp_path / "build" / "cli.tfrc")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Error: Failed to query available provider packages", "TF_PROVIDER_MIRROR"),
        ("Error: No valid credential sources found", "AWS_PROFILE"),
        ("Error: Error acquiring the state lock", "locked"),
        ("Error: Error acquiring the state lock: open .terraform.tfstate.lock.info: permission denied", "writable"),
        ("dial tcp 127.0.0.1:4566: connect: connection refused", "emulator"),
        ("Error: Backend configuration changed", "-reconfigure"),
        ("Error: open x: read-only file system", "writable"),
        ("Error: creating Logs Group: ResourceAlreadyExistsException: The group already exists", "import --env dev"),
    ],
)
def test_known_failures_end_with_one_line_of_remedy(text: str, told: str) -> None:
    remedy = terraform_errors.remedy(text, "dev")
    assert remedy is not None
    assert told in remedy
    assert "\n" not in remedy


def test_what_exists_without_the_state_knowing_it_has_another_remedy_on_the_emulator() -> None:
    told = terraform_errors.remedy("Error: creating IAM Role (x): EntityAlreadyExists", "local")
    assert told is not None
    assert "`make down && make up`" in told
    assert "import" not in told


def test_an_unknown_failure_gets_no_invented_remedy() -> None:
    assert terraform_errors.remedy("Error: Unsupported argument", "dev") is None


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


def test_what_is_protected_is_said_before_anything_is_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    (tmp_path / "dev").mkdir()
    binary(tmp_path / "bin", "terraform", "1.11.4")
    monkeypatch.setenv("TF", str(tmp_path / "bin" / "terraform"))
    monkeypatch.setattr(terraform, "_is_initialised", lambda folder, env: True)
    ran: list[str] = []
    monkeypatch.setattr(terraform, "stream", lambda command, *_, **__: ran.append(command[2]) or 0)
    protected = {"request_table": "inference-dev-requests"}
    monkeypatch.setattr(terraform, "outputs", lambda name: {"protected": protected})
    with pytest.raises(
        CommandError, match=r"dev has deletion_protection: request table inference-dev-requests can't be"
    ):
        terraform.execute("destroy", "dev")
    assert ran == []
    protected.clear()
    assert terraform.execute("destroy", "dev") == 0
    assert ran == ["destroy"]


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
    monkeypatch.setattr("scripts.removal.check", lambda name, command: None)
    assert terraform.execute("apply", "local") == code
    assert stops == [True] * stopped
