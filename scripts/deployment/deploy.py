"""Deploy to AWS with one command: the zips, the registry, the workers' images, everything else, and a smoke test.

At the end, old versions of the functions and images that nothing can run any more are deleted.

    python -m scripts.deployment.deploy --env dev|prod [--builder docker|podman|buildah] [--build-arg NAME=VALUE]...

Terraform asks before it changes anything: once for the registry, if it does not exist yet, and once for the rest. The
images' digests are stored in SSM parameters, from where every later plan, on any machine, reads them.
"""

import argparse
import base64
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.console import CommandError, note, run
from scripts.deployment import aws_session, deployed_images, preflight, rollout, terraform
from scripts.deployment.apply import run_terraform
from scripts.deployment.environment_config import EnvironmentConfig, read_config
from scripts.deployment.smoke_test import TIMEOUT_SECONDS, smoke_test
from scripts.deployment.unused_images import delete_unused_images
from scripts.packaging import package
from scripts.packaging.builders import BUILDERS, Builder
from scripts.packaging.image import build, push
from scripts.packaging.targets import LAMBDA, LAMBDA_SYNC

REGISTRY = "-target=module.stack.module.container_registry"


def deploy(environment: str, config: EnvironmentConfig, builder: Builder, build_args: list[str]) -> int:
    """Returns Terraform's exit code, or the smoke test's.

    Raises:
        CommandError: a step failed, or the smoke test; the steps before it are done, and running it again continues
            from there.
    """
    package.show(package.build_for_environment(package.OUT, environment, config, images=True))
    if terraform.execute("init", environment):
        raise CommandError(f"terraform init of {environment} failed: see above")
    repository = _repository(environment, config)
    log_in(builder, repository)
    images: dict[str, str] = {}
    for wanted in images_of(config):
        place = (builder, repository, wanted.name, wanted.folders, config.architecture, build_args)
        built = build(*place, fresh=True, in_s3=config.in_s3, target=LAMBDA_SYNC if wanted.sync else LAMBDA)
        images |= dict.fromkeys(wanted.workers, push(builder, built))
    _note_images(repository, config.prefix, images)
    if code := run_terraform("apply", environment, config):
        return code
    if code := smoke_test(environment, config, None, TIMEOUT_SECONDS):
        return code
    rollout.finish(environment)
    delete_unused_images(config)
    return 0


def _repository(environment: str, config: EnvironmentConfig) -> str:
    """The registry's URL; the registry is created if it does not exist."""
    if url := registry_url(config):
        return url
    note("creating the registry first: the images are pushed to it")
    if terraform.execute("apply", environment, [REGISTRY]):
        raise CommandError("the registry was not created: see above")
    if url := registry_url(config):
        return url
    raise CommandError(f"the registry {config.prefix}-worker is not in the region that AWS_REGION or the profile names")


def registry_url(config: EnvironmentConfig) -> str | None:
    """Where an environment's images are pushed to; None if the registry does not exist yet.

    Raises:
        CommandError: ECR does not answer, or returns another error.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    name = f"{config.prefix}-worker"
    try:
        client = aws_session.client_in("ecr", config.region)
        found = client.describe_repositories(repositoryNames=[name])["repositories"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "RepositoryNotFoundException":
            return None
        raise CommandError(
            f"can't check whether the ECR repository {name} exists ({error}): ecr:DescribeRepositories is needed"
        ) from error
    except BotoCoreError as error:
        raise CommandError(f"can't get the ECR repository {name}: {error}") from error
    return str(found[0]["repositoryUri"])


def log_in(builder: Builder, repository: str) -> None:
    """Let the builder push to ECR, with the caller's AWS credentials, for twelve hours.

    Raises:
        CommandError: ECR gives no token, or the builder does not take it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    registry = repository.partition("/")[0]
    try:
        answer = aws_session.client_in("ecr", _region_of(repository)).get_authorization_token()
    except (BotoCoreError, ClientError) as error:
        raise CommandError(
            f"can't get a token to push to ECR ({error}): ecr:GetAuthorizationToken is needed"
        ) from error
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    user, _, password = token.partition(":")
    command = [builder.name, "login", "--username", user, "--password-stdin", registry]
    done = subprocess.run(command, input=password, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise CommandError(f"`{builder.name} login {registry}` failed: {done.stderr.strip()}")


def _region_of(repository: str) -> str:
    return repository.split(".")[3]  # <account>.dkr.ecr.<region>.amazonaws.com


def _note_images(repository: str, prefix: str, images: Mapping[str, str]) -> None:
    deployed_images.write(aws_session.client_in("ssm", _region_of(repository)), prefix, images)
    note(f"stored in SSM, for the next plan on any machine: the images of {', '.join(sorted(images)) or 'no model'}")


@dataclass(frozen=True)
class WantedImage:
    """An image to build: its model folders, the workers that run from it, and whether synchronous functions do."""

    name: str
    folders: Sequence[Path]
    workers: Sequence[str]
    sync: bool = False


def images_of(config: EnvironmentConfig) -> list[WantedImage]:
    """One for each model folder and one for each pool; a worker with a package of its own needs none."""
    folders: dict[Path, list[str]] = {}
    for model in config.models.values():
        if not (model.pool or model.own_package):
            folders.setdefault(model.folder, []).append(model.name)
    found = [
        WantedImage(folder.name, [folder], names, any(config.models[name].sync for name in names))
        for folder, names in folders.items()
    ]
    for pool, members in config.pools.items():
        if not members[0].own_package:
            of_pool = sorted({model.folder for model in members})
            found.append(WantedImage(pool, of_pool, [pool], members[0].sync))
    return found


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="deploy", description="Deploy to AWS: registry, images, everything.")
    parser.add_argument("--env", required=True, help="dev or prod")
    parser.add_argument("--builder", choices=BUILDERS, help="default: the first of them that works")
    parser.add_argument("--build-arg", action="append", default=[], help="NAME=VALUE, as the builder takes it")
    args = parser.parse_args()
    if args.env == terraform.LOCAL:
        raise CommandError(
            "the emulator uses zips, not images: deploy to it with `make up`, or set ENV=dev or ENV=prod", code=2
        )
    config = read_config(args.env, images=False)  # all images are built here
    return deploy(args.env, config, preflight.check(args.env, config, args.builder), args.build_arg)


if __name__ == "__main__":
    run(main)
