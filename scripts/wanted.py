"""Which models an environment names, and where their folders are: what is to be packaged, or built as images.

Terraform itself reads the environment's variables (all of its files, and what the shell says), in a folder that holds
nothing else: that needs no `init`, no provider and no backend.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import deployed_images, terraform
from scripts.console import BUILD, ROOT, Failure, note

MODELS = ROOT / "worker" / "models"

_PATTERNS = ("variables.tf", "*.tfvars", "*.tfvars.json")
_EXPRESSION = """jsonencode({architecture = var.architecture, prefix = "${var.project}-${var.environment}",
 region = try(var.region, null), parameters = var.images_from_parameters && var.worker_images == null, models = {
 for name, model in var.models : name => {
 source = try(coalesce(model.source, name), name), models_dir = try(model.models_dir, null),
 artifact = try(model.artifact, null), package = try(model.package, null) != null,
 image = try(contains(keys(var.worker_images), name), false)
 }}})"""


@dataclass(frozen=True)
class WantedModel:
    """A model that an environment names.

    Attributes:
        name: its name in /predict/{model}.
        folder: its model folder.
        artifact: `s3://bucket/key` when its artifact comes from there.
        own_package: the environment names a zip or an image of its own for it.
        image: the environment names the image that `make deploy` built for it.
    """

    name: str
    folder: Path
    artifact: str | None = None
    own_package: bool = False
    image: bool = False


@dataclass(frozen=True)
class Wanted:
    """What an environment names. `architecture` is x86_64 or arm64; `prefix` begins all names of its deployment."""

    architecture: str
    models: Mapping[str, WantedModel]
    prefix: str = ""

    @property
    def folders(self) -> set[Path]:
        """The model folders; one that two models share is there once."""
        return {model.folder for model in self.models.values()}

    @property
    def in_s3(self) -> set[Path]:
        """Folders whose artifact no model needs in its package."""
        shipped = {model.folder for model in self.models.values() if model.artifact is None}
        return self.folders - shipped


def read_wanted(environment: str) -> Wanted:
    """What an environment names.

    Raises:
        Failure: Terraform can't read its variables, or a model has no folder.
    """
    folder = terraform.ENVIRONMENTS / environment
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in terraform.ENVIRONMENTS.iterdir() if path.is_dir()))
        raise Failure(f"there is no environment {environment}: ENV is one of {known}", code=2)
    answer = _asked(environment, folder)
    deployed = _deployed_images(answer["region"], answer["prefix"]) if answer["parameters"] else frozenset()
    models = {}
    for name, said in answer["models"].items():
        # As Terraform takes it: relative to the environment's folder.
        parent = folder / said["models_dir"] if said["models_dir"] else MODELS
        model_folder = Path((parent / said["source"]).resolve())
        _check(environment, name, model_folder)
        image = said["image"] or name in deployed
        models[name] = WantedModel(name, model_folder, said["artifact"], said["package"], image)
    return Wanted(answer["architecture"], models, answer["prefix"])


def _deployed_images(region: str | None, prefix: str) -> frozenset[str]:
    """The models that run from images; none where AWS can't be asked, which the plan itself will say."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    from scripts.aws_errors import told

    try:
        return frozenset(deployed_images.read(boto3.Session(region_name=region).client("ssm"), prefix))
    except (BotoCoreError, ClientError) as error:
        note(f"which models run from images can't be read, so zips are made: {told(error)}")
        return frozenset()


def _asked(environment: str, folder: Path) -> dict[str, Any]:
    # Of the caller's terminal and folders nothing matters here: there is no state, and one expression to evaluate.
    env = {
        name: value
        for name, value in terraform.environment_env(environment).items()
        if name not in ("TF_WORKSPACE", "TF_DATA_DIR") and not name.startswith("TF_CLI_ARGS")
    }
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="wanted-") as name:
        work = Path(name)
        for pattern in _PATTERNS:
            for path in folder.glob(pattern):
                shutil.copy(path, work)
        shown = subprocess.run(
            [terraform.terraform_binary(), f"-chdir={work}", "console", "-no-color"],
            input=_EXPRESSION.replace("\n", " ") + "\n",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=env,
            check=False,
        )
    answer = next((line for line in reversed(shown.stdout.splitlines()) if line.startswith('"')), None)
    if answer is None:
        said = (shown.stderr or shown.stdout).strip()[-1000:]
        raise Failure(f"Terraform can't read the variables of {environment} ({folder}): {said}")
    try:
        read: dict[str, Any] = json.loads(json.loads(answer))
    except ValueError as error:
        raise Failure(f"Terraform's answer about {environment} can't be read: {answer[:200]}") from error
    return read


def _check(environment: str, name: str, folder: Path) -> None:
    """A line of its own, before Terraform's, which points into a file that nobody edits."""
    if (folder / "manifest.json").is_file():
        return
    missing = folder / "manifest.json" if folder.is_dir() else folder
    raise Failure(
        f"the environment {environment} names the model {name}, but {missing} does not exist: run "
        f"`make new-model NAME={name}`, or correct `models` in the environment's terraform.tfvars "
        "(source: the folder's name; models_dir: where it is)"
    )
