"""Deploy to AWS in one go: the registry, the workers' images, then everything.

    python -m scripts.deploy --env dev|prod [--builder docker|podman|buildah] [--build-arg NAME=VALUE]...

Terraform asks before it changes anything: once for the registry, where there is none yet, and once for the rest. The
images go into `worker_images.auto.tfvars.json` of the environment, so that a later `make plan` knows them.
"""

import argparse
import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if not __package__:  # started as a file: make the repository importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
from scripts import package, terraform
from scripts.builders import BUILDERS, Builder, find_builder
from scripts.console import ROOT, Failure, note, run
from scripts.image import TARGETS, build, choose_target, push, runtime_of

IMAGES = "worker_images.auto.tfvars.json"
REGISTRY = "-target=module.stack.module.container_registry"

# What has to be built, as Terraform reads it from all its files; a model with a package of its own needs no image.
_WANTED = """jsonencode({architecture = var.architecture, models = {
 for name, model in var.models : name => {
 source = try(coalesce(model.source, name), name), models_dir = try(model.models_dir, null)
 } if try(model.package, null) == null }})"""


def deploy(environment: str, builder: Builder, build_args: list[str]) -> int:
    """Returns Terraform's exit code.

    Raises:
        Failure: one of the steps can't be done; those before it are, and a repetition goes on from there.
    """
    wanted = read_wanted(environment)
    repository = _repository(environment)
    log_in(builder, repository)
    folders = _folders(wanted)
    images: dict[str, str] = {}
    for target, names in targets_of(folders).items():
        built = build(
            builder,
            repository,
            target,
            {folders[name].name: folders[name] for name in names},
            wanted["architecture"],
            build_args,
            fresh=True,
        )
        images |= dict.fromkeys(names, push(builder, built))
    path = terraform.ENVIRONMENTS / environment / IMAGES
    path.write_text(json.dumps({"worker_images": images}, indent=2) + "\n", encoding="utf-8")
    note(f"written: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    return terraform.execute("apply", environment)


def read_wanted(environment: str) -> dict[str, Any]:
    """`architecture` and, by name, the `models` that need an image, each with `source` and `models_dir` (None: ours).

    Raises:
        Failure: Terraform can't read the environment.
    """
    folder = terraform.ENVIRONMENTS / environment
    code = terraform.execute("init", environment)
    if code:
        raise Failure(f"terraform init of {environment} failed: see above")
    command = [terraform.terraform_binary(), f"-chdir={folder}", "console", "-no-color", "-var", "worker_images=null"]
    expression = _WANTED.replace("\n", " ") + "\n"
    shown = subprocess.run(
        command,
        input=expression,
        capture_output=True,
        text=True,
        env=terraform.environment_env(environment),
        check=False,
    )
    # Packages that are not built yet are complained of, on stderr; the answer is the last line all the same.
    answer = next((line for line in reversed(shown.stdout.splitlines()) if line.startswith('"')), None)
    if answer is None:
        raise Failure(f"terraform can't read the variables of {environment}: {shown.stderr.strip()[-1000:]}")
    wanted: dict[str, Any] = json.loads(json.loads(answer))
    return wanted


def _repository(environment: str) -> str:
    """The registry's URL; it is made first where there is none."""
    try:
        return str(terraform.outputs(environment)["ecr_repository_url"])
    except (Failure, KeyError):
        note("first the registry, so that there is somewhere to push to")
    if terraform.execute("apply", environment, [REGISTRY, "-var", "worker_images=null"]):
        raise Failure("the registry was not created: see above")
    return str(terraform.outputs(environment)["ecr_repository_url"])


def log_in(builder: Builder, repository: str) -> None:
    """Let the builder push to ECR, with the caller's AWS credentials, for twelve hours.

    Raises:
        Failure: ECR gives no token, or the builder does not take it.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    registry = repository.partition("/")[0]
    region = registry.split(".")[3]  # <account>.dkr.ecr.<region>.amazonaws.com
    try:
        answer = boto3.client("ecr", region_name=region).get_authorization_token()
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"ECR gives no token to push with ({error}): ecr:GetAuthorizationToken is needed") from error
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    user, _, password = token.partition(":")
    command = [builder.name, "login", "--username", user, "--password-stdin", registry]
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"`{builder.name} login {registry}` failed: {done.stderr.strip()}")


def _folders(wanted: Mapping[str, Any]) -> dict[str, Path]:
    """The model folder of each model."""
    folders = {}
    for name, model in wanted["models"].items():
        parent = Path(model["models_dir"] or package.MODELS)
        folders[name] = package.find_models([parent], [model["source"]])[model["source"]]
    return folders


def targets_of(folders: Mapping[str, Path]) -> dict[str, list[str]]:
    """Target of the Dockerfile -> the models that its image carries: one target for all where there is one."""
    if not folders:
        return {}
    try:
        return {choose_target(folders): list(folders)}
    except Failure:
        able = {
            name: next(target for target, runtimes in TARGETS.items() if runtime_of(folder) in runtimes)
            for name, folder in folders.items()
        }
        return {target: [name for name in able if able[name] == target] for target in sorted(set(able.values()))}


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="deploy", description="Deploy to AWS: registry, images, everything.")
    parser.add_argument("--env", required=True, help="dev or prod")
    parser.add_argument("--builder", choices=BUILDERS, help="default: the first of them that works")
    parser.add_argument("--build-arg", action="append", default=[], help="NAME=VALUE, as the builder takes it")
    args = parser.parse_args()
    if args.env == terraform.LOCAL:
        raise Failure("the emulator takes zips, not images: `make up` deploys there; say ENV=dev or ENV=prod", code=2)
    return deploy(args.env, find_builder(args.builder), args.build_arg)


if __name__ == "__main__":
    run(main)
