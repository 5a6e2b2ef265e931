"""Which models an environment names, and where their folders are: what is to be packaged, or built as images.

Terraform itself evaluates the environment's files, in a folder in which a module that returns its input stands
in for the stack, and Terraform's built-in provider for AWS's. That needs no provider, no backend and no credentials.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import aws_session, deployed_images, terraform
from scripts.console import BUILD, ROOT, CommandError, note

MODELS = ROOT / "worker" / "models"

_AWS = {"aws": {"source": "terraform.io/builtin/terraform"}}
_STUB = "stack-stub"
_OVERRIDE = {
    "terraform": {"required_providers": _AWS, "backend": {"local": {}}},
    "module": {"stack": {"source": f"./{_STUB}"}},
}
_EXPRESSION = """jsonencode({architecture = module.stack.deployment.architecture, prefix =
 module.stack.deployment.name_prefix, region = local.region, parameters =
 module.stack.deployment.images_from_parameters, models = {
 for name, model in module.stack.deployment.models : name => {
 source = try(coalesce(model.source), name), models_dir = try(model.models_dir, null),
 artifact = try(model.artifact, null), package = try(model.package, null) != null
 }}})"""


@dataclass(frozen=True)
class ConfiguredModel:
    """A model that an environment names.

    Attributes:
        name: its name in /predict/{model}.
        folder: its model folder.
        artifact: `s3://bucket/key` when its artifact comes from there.
        own_package: the environment names a zip or an image of its own for it.
        image: `make deploy` has built an image for it.
    """

    name: str
    folder: Path
    artifact: str | None = None
    own_package: bool = False
    image: bool = False


@dataclass(frozen=True)
class EnvironmentConfig:
    """What an environment names.

    Attributes:
        architecture: x86_64 or arm64.
        models: by name.
        prefix: begins all names of its deployment.
        region: of AWS; None is the one that the shell names.
    """

    architecture: str
    models: Mapping[str, ConfiguredModel]
    prefix: str = ""
    region: str | None = None

    @property
    def folders(self) -> set[Path]:
        """The model folders; one that two models share is there once."""
        return {model.folder for model in self.models.values()}

    @property
    def in_s3(self) -> set[Path]:
        """Folders whose artifact no model needs in its package."""
        shipped = {model.folder for model in self.models.values() if model.artifact is None}
        return self.folders - shipped


def read_config(environment: str, *, images: bool = True) -> EnvironmentConfig:
    """What an environment names.

    Args:
        images: ask AWS which models run from images; without it `image` is False.

    Raises:
        CommandError: Terraform can't read its files, or a model has no folder.
    """
    folder = terraform.ENVIRONMENTS / environment
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in terraform.ENVIRONMENTS.iterdir() if path.is_dir()))
        raise CommandError(f"there is no environment {environment}: ENV is one of {known}", code=2)
    answer = _evaluate(environment, folder)
    deployed = _deployed_images(answer["region"], answer["prefix"]) if images and answer["parameters"] else frozenset()
    models = {}
    for name, said in answer["models"].items():
        # As Terraform takes it: relative to the environment's folder.
        parent = folder / said["models_dir"] if said["models_dir"] else MODELS
        model_folder = Path((parent / said["source"]).resolve())
        _check(environment, name, model_folder)
        models[name] = ConfiguredModel(name, model_folder, said["artifact"], said["package"], name in deployed)
    return EnvironmentConfig(answer["architecture"], models, answer["prefix"], answer["region"])


def _deployed_images(region: str | None, prefix: str) -> frozenset[str]:
    """The models that run from images; none where AWS can't be asked, which the plan itself will say."""
    from botocore.exceptions import BotoCoreError, ClientError

    from scripts.aws_errors import describe_aws_error

    try:
        return frozenset(deployed_images.read(aws_session.client_in("ssm", region), prefix))
    except (BotoCoreError, ClientError) as error:
        note(f"which models run from images can't be read, so zips are made: {describe_aws_error(error)}")
        return frozenset()


def _evaluate(environment: str, folder: Path) -> dict[str, Any]:
    # Of the caller's terminal and folders nothing matters here: there is no state, and one expression to evaluate.
    env = {
        name: value
        for name, value in terraform.environment_env(environment).items()
        if name not in ("TF_WORKSPACE", "TF_DATA_DIR") and not name.startswith("TF_CLI_ARGS")
    }
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="environment-") as name:
        work = Path(name)
        for path in folder.iterdir():
            if not path.name.startswith((".", "terraform.tfstate")):
                (work / path.name).symlink_to(path)
        (work / "zzz_override.tf.json").write_text(json.dumps(_OVERRIDE), encoding="utf-8")
        (work / _STUB).mkdir()
        (work / _STUB / "main.tf.json").write_text(json.dumps(_stub_module()), encoding="utf-8")
        for arguments in (("init", "-input=false"), ("console",)):
            shown = subprocess.run(
                [terraform.terraform_binary(), f"-chdir={work}", *arguments, "-no-color"],
                input=_EXPRESSION.replace("\n", " ") + "\n",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=env,
                check=False,
            )
            if shown.returncode:
                break
    # The console complains of resources that the built-in provider does not have, and answers all the same.
    answer = next((line for line in reversed(shown.stdout.splitlines()) if line.startswith('"')), None)
    if answer is None:
        said = (shown.stderr or shown.stdout).strip()[-1000:]
        raise CommandError(f"Terraform can't read what {environment} names ({folder}): {said}")
    try:
        read: dict[str, Any] = json.loads(json.loads(answer))
    except ValueError as error:
        raise CommandError(f"Terraform's answer about {environment} can't be read: {answer[:200]}") from error
    if unset := [key for key in ("architecture", "prefix", "parameters") if read[key] is None]:
        raise CommandError(f"{folder / 'main.tf'}: the module stack is not given {', '.join(unset)}")
    return read


def _stub_module() -> dict[str, Any]:
    """A module with the stack's variables, which take anything, and its output: their values."""
    stack = sorted((terraform.TERRAFORM / "stack").glob("*.tf"))
    variables = [
        name
        for path in stack
        for name in re.findall(r'^variable "(\w+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    return {
        "terraform": {"required_providers": _AWS},
        "variable": {name: {"type": "any", "default": None} for name in variables},
        "output": {"deployment": {"value": {name: f"${{var.{name}}}" for name in variables}}},
    }


def _check(environment: str, name: str, folder: Path) -> None:
    """A line of its own, before Terraform's, which points into a file that nobody edits."""
    if (folder / "manifest.json").is_file():
        return
    missing = folder / "manifest.json" if folder.is_dir() else folder
    raise CommandError(
        f"the environment {environment} names the model {name}, but {missing} does not exist: run "
        f"`make new-model NAME={name}`, or correct `models` in the environment's main.tf "
        "(source: the folder's name; models_dir: where it is)"
    )
