"""What of the caller's shell reaches Terraform and AWS clients, and what is said about it.

ENV=local must never reach an account: it takes no AWS setting of the shell or of the AWS files, and nothing that
changes which state, variables or arguments Terraform uses. dev and prod take all of it, and say what they take.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from scripts.console import CommandError

NO_FILE = os.devnull
"""Stands in for both AWS files: their settings would win over the emulator's address (`use_fips_endpoint`, ...)."""

_OWN_IN_LOCAL = ("TF_WORKSPACE", "TF_DATA_DIR", "TF_REATTACH_PROVIDERS")
_ARGUMENTS = "TF_CLI_ARGS"
_VARIABLE = "TF_VAR_"


def without_aws(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without any AWS setting, and with the AWS files out of sight."""
    kept = {name: value for name, value in env.items() if not name.upper().startswith("AWS_")}
    return kept | {
        "AWS_CONFIG_FILE": NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": NO_FILE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def ignored_in_local(env: Mapping[str, str]) -> list[str]:
    """The names of what the shell sets for Terraform and ENV=local does not take."""
    return sorted(name for name in env if _is_ignored_in_local(name) and env[name])


def terraform_of_local(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for Terraform in ENV=local: always the default workspace and the folder's own data."""
    kept = {name: value for name, value in env.items() if not _is_ignored_in_local(name)}
    return kept | {"TF_WORKSPACE": "default"}


def _is_ignored_in_local(name: str) -> bool:
    return name in _OWN_IN_LOCAL or name.startswith((_ARGUMENTS, _VARIABLE))


def without_arguments(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command whose output is read: arguments for all subcommands (`-compact-warnings`,
    `-parallelism=4`) are none that `version` and `output` know."""
    return {name: value for name, value in env.items() if not name.startswith(_ARGUMENTS)}


def data_dir(folder: Path, env: Mapping[str, str]) -> Path:
    """Where Terraform keeps an environment's own data; TF_DATA_DIR is relative to the folder, as Terraform takes it."""
    return folder / (env.get("TF_DATA_DIR") or ".terraform")


def used_settings(folder: Path, env: Mapping[str, str]) -> list[str]:
    """Sentences on what the shell decides about a run for dev or prod."""
    sentences = []
    selected = data_dir(folder, env) / "environment"
    workspace = env.get("TF_WORKSPACE") or (selected.read_text(encoding="utf-8").strip() if selected.is_file() else "")
    if workspace not in ("", "default"):
        origin = "TF_WORKSPACE" if env.get("TF_WORKSPACE") else "terraform workspace select"
        sentences.append(f"workspace: {workspace} (from {origin}); its state is not the default workspace's")
    for what, prefix in (("variables", _VARIABLE), ("arguments", _ARGUMENTS)):
        if names := sorted(name for name in env if name.startswith(prefix) and env[name]):
            sentences.append(f"{what} from the shell: {', '.join(names)}")
    if env.get("TF_DATA_DIR"):
        sentences.append(f"TF_DATA_DIR: {data_dir(folder, env)}")
    return sentences


def check_endpoints(name: str, env: Mapping[str, str]) -> list[str]:
    """Reject an AWS address of this machine for a real environment; a sentence for each other one.

    Raises:
        CommandError: an AWS_ENDPOINT_URL names a loopback address: it is left over from an emulator.
    """
    sentences = []
    for variable in sorted(env):
        if not variable.startswith("AWS_ENDPOINT_URL") or not env[variable]:
            continue
        if _is_loopback(env[variable]):
            raise CommandError(
                f"{variable}={env[variable]} aims ENV={name} at an emulator on this machine: "
                f"unset {variable}, or use ENV=local"
            )
        sentences.append(f"{variable}={env[variable]}: AWS is called there")
    return sentences


def _is_loopback(url: str) -> bool:
    host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".localstack.cloud")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
