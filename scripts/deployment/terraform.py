"""Run Terraform (or OpenTofu) on one environment: with the right binary, provider and credentials, and clear errors.

    python -m scripts.deployment.terraform init|output|import|validate|test [--env ENVIRONMENT] [ARGUMENT]...
    python -m scripts.deployment.terraform fmt [-check]    all HCL of the repository
    python -m scripts.deployment.terraform check           check that a suitable Terraform is installed

To plan and to apply there is apply.py, to destroy destroy.py. `local` starts the emulator when needed, applies without
asking, and shows a line for each resource. `dev` and `prod` use the caller's AWS credentials, and Terraform asks.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.deployment import progress
from scripts.deployment.provider_mirror import provider_env
from scripts.deployment.shell import (
    check_endpoints,
    data_dir,
    ignored_in_local,
    terraform_of_local,
    used_settings,
    without_arguments,
)
from scripts.deployment.terraform_errors import error_line, registry_host, remedy
from scripts.deployment.terraform_process import capture, stream
from scripts.local import emulator

TERRAFORM = ROOT / "terraform"
ENVIRONMENTS = TERRAFORM / "environments"
LOCAL = "local"
MINIMUM = (1, 10)  # the S3 backend's native locking

_COMMANDS = ("check", "init", "output", "import", "validate", "test", "fmt")
_NEEDS_INIT = ("plan", "apply", "destroy", "import", "validate", "test", "output")
_NEEDS_EMULATOR = ("plan", "apply", "destroy")

_QUIET = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
"""No hints on the next command, and no check for a newer version."""


@lru_cache
def terraform_binary() -> str:
    """Path of the binary: TF, or `terraform`.

    Raises:
        CommandError: it is missing, does not run, or is too old.
    """
    name = os.environ.get("TF") or "terraform"
    minimum = ".".join(map(str, MINIMUM))
    path = shutil.which(name)
    if path is None:
        raise CommandError(f"{name} is not installed: install Terraform >= {minimum}, or OpenTofu and set TF=tofu")
    try:
        shown = subprocess.run(
            [path, "version", "-json"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=without_arguments(os.environ) | _QUIET,
            check=False,
            cwd=ROOT,
        )
        version = str(json.loads(shown.stdout)["terraform_version"])
    except OSError as error:
        raise CommandError(f"{path} does not run ({error.strerror}): set TF to a Terraform >= {minimum}") from error
    except (ValueError, KeyError) as error:
        said = error_line(shown.stderr or shown.stdout) or f"exit code {shown.returncode}"
        raise CommandError(f"can't get the version of {path} ({said}): set TF to a Terraform >= {minimum}") from error
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < MINIMUM:
        raise CommandError(f"{path} is version {version}: Terraform >= {minimum} is needed (set TF to choose another)")
    return path


def terraform_env(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which Terraform finds the AWS provider; `base` defaults to the caller's.

    For credentials see `Emulator.client_env`.
    """
    env = provider_env(os.environ if base is None else base, host=registry_host())
    return env | _QUIET


def environment_env(name: str) -> dict[str, str]:
    """The environment variables of Terraform and AWS clients for an environment.

    Raises:
        CommandError: dev or prod, but AWS_ENDPOINT_URL names an emulator.
    """
    if name == LOCAL:
        return emulator.current().client_env(terraform_env(terraform_of_local(os.environ)))
    check_endpoints(name, os.environ)
    return terraform_env()


def outputs(name: str) -> dict[str, Any]:
    """The output `deployment` of a deployed environment.

    Raises:
        CommandError: nothing is deployed.
    """
    folder = _folder(name)
    nothing = f"nothing is deployed in {name}: run `make {'up' if name == LOCAL else f'apply ENV={name}'}`"
    if name == LOCAL:
        _forget_lost_state(folder, emulator.current())
    env = environment_env(name)
    if not data_dir(folder, env).is_dir():
        raise CommandError(nothing)
    command = [terraform_binary(), f"-chdir={folder}", "output", "-json", "-no-color"]
    shown = capture(command, env)
    if shown.returncode:
        raise CommandError(
            remedy(shown.stderr, name) or f"cannot read the outputs of {name}: {error_line(shown.stderr)}"
        )
    output = json.loads(shown.stdout or "{}").get("deployment")
    if output is None:
        raise CommandError(nothing)
    values: dict[str, Any] = output["value"]
    return values


def prepare(command: str, name: str) -> int:
    """What a command needs first: for `local` the emulator, and `terraform init`. Returns the latter's exit code.

    Raises:
        CommandError: the environment, its backend configuration, the binary or the provider is missing.
    """
    folder = _folder(name)
    binary = terraform_binary()
    if name == LOCAL and command in _NEEDS_EMULATOR:
        local = emulator.current()
        if local.start():
            note(f"emulator started at {local.endpoint}")
        _forget_lost_state(folder, local)
    env = environment_env(name)
    _note_shell_settings(folder, env, name)
    if command in _NEEDS_INIT and not _is_initialised(folder, env):
        # validate and test need no backend, and so no bucket.
        return _init(binary, folder, env, name, ("-backend=false",) if command in ("validate", "test") else ())
    return 0


def execute(command: str, name: str, arguments: Sequence[str] = ()) -> int:
    """Run a Terraform command on an environment, and pass its output on. Returns its exit code.

    Raises:
        CommandError: see `prepare`.
    """
    folder = _folder(name)
    if name == LOCAL and command == "destroy" and emulator.current().pid is None:
        _forget_lost_state(folder, emulator.current())
        note("the emulator is not running: nothing to destroy")
        return 0
    if code := prepare(command, name):
        return code
    binary, env = terraform_binary(), environment_env(name)
    if command == "init":
        return _init(binary, folder, env, name, arguments)
    options = list(arguments) if command != "plan" else ["-input=false", *arguments]
    compact = name == LOCAL and command in ("apply", "destroy")
    if compact:
        options = ["-json", "-auto-approve", "-input=false", *options]
    first = compact and command == "apply" and not (folder / "terraform.tfstate").is_file()
    started = time.monotonic()
    log = BUILD / "terraform" / f"{command}.log" if compact else None
    code = stream([binary, f"-chdir={folder}", command, *options], env, name, log=log)
    if command in ("apply", "destroy") and code == 0:
        note(f"{command} of {name} took {time.monotonic() - started:.0f} s")
    elif first and code == progress.INTERRUPTED:
        # Resources in creation may exist without being in the state; everything else is new too.
        emulator.current().stop()
        note("the emulator was stopped too: the next `make up` starts with an empty one")
    return code


@lru_cache  # once in a process, although a deployment runs Terraform several times
def _note_once(line: str) -> None:
    note(line)


def _note_shell_settings(folder: Path, env: Mapping[str, str], name: str) -> None:
    """Print which settings of the shell this run ignores or uses."""
    if name == LOCAL:
        if ignored := ignored_in_local(os.environ):
            _note_once(f"ENV=local ignores what your shell sets: {', '.join(ignored)}")
        return
    for sentence in (*used_settings(folder, env), *check_endpoints(name, env)):
        _note_once(f"{name}: {sentence}")


def check_protection(name: str, outputs: Mapping[str, Any]) -> None:
    """Check before a destroy whether deletion protection would stop it half-way.

    Raises:
        CommandError: the deployment is protected.
    """
    protected = outputs.get("protected") or {}
    if protected:
        names = ", ".join(f"{what.replace('_', ' ')} {called}" for what, called in sorted(protected.items()))
        raise CommandError(
            f"{name} has deletion_protection: {names} can't be destroyed, and Terraform would fail only after it has "
            f"destroyed everything else. Set deletion_protection = false in terraform/environments/{name}/main.tf, "
            "apply, then destroy. For what remains see docs/deploy.md, Destroy"
        )


def _init(binary: str, folder: Path, env: Mapping[str, str], name: str, arguments: Sequence[str]) -> int:
    options = ["-input=false", *arguments]
    if name != LOCAL and not any(argument.startswith("-backend") for argument in arguments):
        check_backend(folder, name)
        options.insert(0, "-backend-config=backend.hcl")
    note(f"terraform init of {name} ...")
    log = None
    if "-migrate-state" not in options:  # Terraform does not support it together with -json
        options.insert(0, "-json")
        log = BUILD / "terraform" / "init.log"
    code = stream([binary, f"-chdir={folder}", "init", *options], env, name, quiet=True, log=log)
    if code == 0 and "-backend=false" not in options:
        _stamp(folder, env).write_text(_digest(folder, env), encoding="utf-8")
    return code


def check_backend(folder: Path, name: str) -> None:
    """Check the backend configuration of dev or prod.

    Raises:
        CommandError: backend.hcl is missing, or still has placeholders.
    """
    path = folder / "backend.hcl"
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    if not path.is_file():
        raise CommandError(
            f"{shown} is missing: it names the bucket, key and region of the state of {name}; "
            f"`make bootstrap ENV={name}` writes it, or copy backend.hcl.example there and fill it in "
            f"(`make plan ENV={name} OFFLINE=1` needs none)"
        )
    if left := re.findall(r"<[^>]*>", path.read_text(encoding="utf-8").partition("bucket")[2]):
        raise CommandError(f"{shown} still has {', '.join(left)}: fill it in")


def _is_initialised(folder: Path, env: Mapping[str, str]) -> bool:
    stamp = _stamp(folder, env)
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _digest(folder, env)


def _stamp(folder: Path, env: Mapping[str, str]) -> Path:
    return data_dir(folder, env) / "initialised"


def _digest(folder: Path, env: Mapping[str, str]) -> str:
    """Depends on everything that can make `init` necessary: the HCL, the backend, the provider's source."""
    digest = hashlib.sha256(f"{terraform_binary()} {env.get('TF_CLI_CONFIG_FILE')}".encode())
    modules = [TERRAFORM / "stack", *sorted((TERRAFORM / "modules").glob("*"))]
    for part in (folder, *modules):
        for path in sorted((*part.glob("*.tf"), *part.glob("*.hcl"))):
            if path.name != ".terraform.lock.hcl":
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _forget_lost_state(folder: Path, local: emulator.Emulator) -> None:
    """Delete a local state whose emulator has ended: its resources do not exist any more."""
    mark = folder / ".terraform" / "emulator"
    instance = local.instance or "none"
    if mark.is_file() and mark.read_text(encoding="utf-8") == instance:
        return
    lost = [path for path in folder.glob("terraform.tfstate*") if path.is_file()]
    held = any('"mode": "managed"' in path.read_text(encoding="utf-8") for path in lost if path.suffix == ".tfstate")
    for path in lost:
        path.unlink()
    if held:
        note("the emulator of the last deployment has ended: starting with an empty one")
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(instance, encoding="utf-8")


def _folder(name: str) -> Path:
    folder = ENVIRONMENTS / name
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in ENVIRONMENTS.glob("*") if path.is_dir())) or "none"
        raise CommandError(f"there is no environment {name}: ENV is one of {known}", code=2)
    return folder


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="terraform", description="Run Terraform on one environment.")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("--env", default=LOCAL, help="local (default), dev or prod")
    args, arguments = parser.parse_known_args()
    if args.command == "check":
        terraform_binary()
        return 0
    if args.command == "fmt":
        command = [terraform_binary(), "fmt", "-recursive", *arguments, str(TERRAFORM)]
        return subprocess.run(command, env=terraform_env(), check=False).returncode
    return execute(args.command, args.env, arguments)


if __name__ == "__main__":
    run(main)
