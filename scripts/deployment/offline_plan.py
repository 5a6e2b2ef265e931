"""Plan an environment with no AWS account: what it would create in an account that is empty.

The account is an emulator of its own, which ends with the plan. The state is local and empty, and the files are links
to the environment's own in a folder beside it, so that every relative path means the same. AWS is never called, and
nothing of the caller's AWS settings, state or backend is used.
"""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.console import BUILD, CommandError, note
from scripts.deployment import aws_session, deployed_images, terraform
from scripts.deployment.environment_config import EnvironmentConfig, read_config
from scripts.deployment.shell import ignored_in_local, terraform_of_local
from scripts.deployment.terraform_process import capture, stream
from scripts.local.emulator import HOST, REGION, Emulator
from scripts.packaging import package

LIFETIME_SECONDS = 1800
_BACKEND: dict[str, Any] = {"terraform": {"backend": {"local": {}}}}
_NO_IMAGE = "0" * 64


@dataclass(frozen=True)
class Workplace:
    """Where an offline plan is made: Terraform's folder and whole environment."""

    folder: Path
    env: Mapping[str, str]
    region: str


def chosen(environment: str, option: str | None) -> bool:
    """Whether a plan is made offline.

    Only where nothing names an account, which is a fresh clone: no credentials, no profile, no backend.hcl. Whoever has
    one of them means an account, and learns from Terraform what is missing.

    Args:
        environment: local, dev or prod.
        option: `1`, `0`, or None where the user did not say.

    Raises:
        CommandError: the option is something else.
    """
    if option not in (None, "", "0", "1"):
        raise CommandError(f"OFFLINE={option} is neither 1 nor 0", code=2)
    if option:
        return option == "1"
    if environment == terraform.LOCAL or (terraform.ENVIRONMENTS / environment / "backend.hcl").exists():
        return False
    return not _names_an_account()


def plan(environment: str, arguments: Sequence[str] = ()) -> int:
    """Show the plan of an environment against an empty account. Returns Terraform's exit code.

    Raises:
        CommandError: the environment can't be read or packaged, the emulator does not start; or the plan is to be kept.
    """
    if any(argument.startswith("-out") for argument in arguments):
        raise CommandError("an offline plan is of an empty account and can't be applied: leave -out away", code=2)
    with _workplace(environment) as place:
        mark = (
            f"offline: the plan of {environment} against an empty account in {place.region}. AWS was not called: what "
            "is deployed already is not in it, and the account's id and the images' digests are placeholders."
        )
        print(mark, flush=True)
        code = _terraform(place, environment, "plan", "-input=false", "-lock=false", *arguments)
        print(f"\n{mark}\nWith credentials and terraform/environments/{environment}/backend.hcl it is your account's.")
    return code


def plan_as_json(environment: str) -> dict[str, Any]:
    """The plan of an environment against an empty account, as `terraform show -json` has it.

    Raises:
        CommandError: as `plan`; or Terraform can't plan it.
    """
    with _workplace(environment) as place:
        command = [terraform.terraform_binary(), f"-chdir={place.folder}"]
        for arguments in (["plan", "-input=false", "-lock=false", "-no-color", "-out=plan"], ["show", "-json", "plan"]):
            done = capture([*command, *arguments], place.env)
            if done.returncode:
                raise CommandError(f"{environment} can't be planned: {done.stderr.strip()}")
    planned: dict[str, Any] = json.loads(done.stdout)
    return planned


@contextlib.contextmanager
def _workplace(environment: str) -> Iterator[Workplace]:
    """An empty account, and a folder in which Terraform is ready to plan against it."""
    config = read_config(environment, images=False)
    packages = package.build_for_environment(package.OUT, environment, config, images=config.images_from_parameters)
    for path in packages.changed:
        note(f"written: {path}")
    if ignored := ignored_in_local(os.environ):
        note(f"offline ignores what your shell sets: {', '.join(ignored)}")
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=BUILD, prefix="offline-")))
        emulator = Emulator(_free_port(), work / "emulator", lifetime_seconds=LIFETIME_SECONDS)
        stack.callback(emulator.stop)
        emulator.start()
        region = config.region or _region_of_shell()
        env = emulator.client_env(terraform.terraform_env(terraform_of_local(os.environ)))
        place = Workplace(
            stack.enter_context(_links(terraform.ENVIRONMENTS / environment)),
            env | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region},
            region,
        )
        _pretend_images(place, config)
        if _terraform(place, environment, "init", "-json", "-input=false"):
            raise CommandError(f"terraform init of {environment} failed: see above")
        yield place


@contextlib.contextmanager
def _links(folder: Path) -> Iterator[Path]:
    """A folder beside an environment's, with its files and a local backend."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".offline-{folder.name}-") as name:
        links = Path(name)
        for path in folder.iterdir():
            if not path.name.startswith((".terraform", "terraform.tfstate", "backend.hcl")):
                (links / path.name).symlink_to(path)
        (links / "zzz_override.tf.json").write_text(json.dumps(_BACKEND), encoding="utf-8")
        yield links


def _pretend_images(place: Workplace, config: EnvironmentConfig) -> None:
    """Let the plan be the one that `make deploy` makes, after it has built the workers' images."""
    if not config.images_from_parameters:
        return
    repository = f"000000000000.dkr.ecr.{place.region}.amazonaws.com/{config.prefix}-worker"
    names = sorted({model.worker for model in config.models.values() if not model.own_package})
    client = aws_session.client_with(place.env, "ssm")
    deployed_images.write(client, config.prefix, dict.fromkeys(names, f"{repository}@sha256:{_NO_IMAGE}"))


def _terraform(place: Workplace, environment: str, command: str, *arguments: str) -> int:
    log = BUILD / "terraform" / f"offline-{command}.log" if "-json" in arguments else None
    binary = terraform.terraform_binary()
    return stream([binary, f"-chdir={place.folder}", command, *arguments], place.env, environment, quiet=True, log=log)


def _names_an_account() -> bool:
    """Whether the shell or the AWS files name an account, in any of the ways that botocore knows."""
    if os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE"):
        return True
    import boto3

    return boto3.Session().get_credentials() is not None


def _region_of_shell() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or REGION


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
