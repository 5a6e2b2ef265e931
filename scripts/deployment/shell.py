"""Which environment variables of the shell are passed to Terraform and AWS clients, and the messages about them.

ENV=local must never reach an AWS account: it ignores all AWS settings of the shell and the AWS files, and everything
that changes Terraform's state, variables or arguments. dev and prod use all of them, and print which.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from scripts.console import CommandError

NO_FILE = os.devnull
"""Replaces both AWS files: their settings (`use_fips_endpoint`, ...) would override the emulator's address."""

_OWN_IN_LOCAL = ("TF_WORKSPACE", "TF_DATA_DIR", "TF_REATTACH_PROVIDERS")
_ARGUMENTS = "TF_CLI_ARGS"
_VARIABLE = "TF_VAR_"


def without_aws(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without AWS settings and AWS files."""
    kept = {name: value for name, value in env.items() if not name.upper().startswith("AWS_")}
    return kept | {
        "AWS_CONFIG_FILE": NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": NO_FILE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def ignored_in_local(env: Mapping[str, str]) -> list[str]:
    """The names of Terraform's variables in the shell that ENV=local ignores."""
    return sorted(name for name in env if _is_ignored_in_local(name) and env[name])


def terraform_of_local(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for Terraform in ENV=local: always the default workspace and the folder's own data."""
    kept = {name: value for name, value in env.items() if not _is_ignored_in_local(name)}
    return kept | {"TF_WORKSPACE": "default"}


def _is_ignored_in_local(name: str) -> bool:
    return name in _OWN_IN_LOCAL or name.startswith((_ARGUMENTS, _VARIABLE))


def without_arguments(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command whose output is parsed: `version` and `output` do not support arguments such as
    `-compact-warnings` or `-parallelism=4`."""
    return {name: value for name, value in env.items() if not name.startswith(_ARGUMENTS)}


def data_dir(folder: Path, env: Mapping[str, str]) -> Path:
    """Terraform's data directory of an environment; TF_DATA_DIR is relative to the folder, as in Terraform."""
    return folder / (env.get("TF_DATA_DIR") or ".terraform")


def used_settings(folder: Path, env: Mapping[str, str]) -> list[str]:
    """Messages on the settings of the shell that affect a run for dev or prod."""
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
    """Reject an AWS endpoint on this machine for a real environment; returns a message for each other endpoint.

    Raises:
        CommandError: an AWS_ENDPOINT_URL is a loopback address, probably of an emulator.
    """
    sentences = []
    for variable in sorted(env):
        if not variable.startswith("AWS_ENDPOINT_URL") or not env[variable]:
            continue
        if _is_loopback(env[variable]):
            raise CommandError(
                f"{variable}={env[variable]} is an emulator on this machine, not AWS: "
                f"unset {variable} for ENV={name}, or use ENV=local"
            )
        sentences.append(f"{variable}={env[variable]}: calls to AWS go there")
    return sentences


def _is_loopback(url: str) -> bool:
    host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".localstack.cloud")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
