"""Finding the AWS provider: a mirror where there is one, and what the user is told of a wrong one."""

import os
import platform
from pathlib import Path

import pytest

from scripts.console import CommandError
from scripts.deployment import provider_mirror
from scripts.deployment.provider_mirror import provider_env

HOST = "registry.terraform.io"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Terraform settings of this machine, and a home of our own."""
    for name in ("TF_PROVIDER_MIRROR", "TF_CLI_CONFIG_FILE", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(provider_mirror, "SEARCHED", tmp_path / "places")
    monkeypatch.setattr(provider_mirror, "CONFIG", tmp_path / "build" / "cli.tfrc")
    monkeypatch.setattr(provider_mirror, "CACHE", tmp_path / "build" / "plugins")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


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
