"""The configuration of an environment: its models and their folders, for packaging and image builds.

Terraform itself evaluates the environment's files, in a folder where the module `stack` is replaced by a stub that
returns its input, and the AWS provider by Terraform's built-in one: no provider, backend or credentials are needed.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scripts.console import BUILD, ROOT, CommandError, note
from scripts.deployment import aws_session, deployed_images, terraform
from scripts.deployment.terraform_process import capture
from scripts.stack_defaults import defaults

MODELS = ROOT / "worker" / "models"

_AWS = {"aws": {"source": "terraform.io/builtin/terraform"}}
_STUB = "stack-stub"
_OVERRIDE = {
    "terraform": {"required_providers": _AWS, "backend": {"local": {}}},
    "module": {"stack": {"source": f"./{_STUB}"}},
}
_FUNCTION = """package = try({0}.package, null) != null, canary = try({0}.canary, null),
 sync = try(jsonencode({0}.sync), "null") != "null",
 memory_mb = try({0}.memory_mb, null), maximum_concurrency = try({0}.maximum_concurrency, null),
 reserved_concurrency = try({0}.reserved_concurrency, null),
 provisioned_concurrency = try(max([for number in [try({0}.warmth.provisioned, null),
 try({0}.warmth.scheduled.concurrency, null), try({0}.warmth.tracking.max, null)] : number
 if number != null]...), null)"""
_EXPRESSION = f"""jsonencode({{architecture = module.stack.deployment.architecture, prefix =
 module.stack.deployment.name_prefix, region = local.region,
 api_canary = try(module.stack.deployment.api.canary, null), parameters =
 module.stack.deployment.images_from_parameters, models = {{
 for name, model in module.stack.deployment.models : name => {{
 source = try(coalesce(model.source), name), models_dir = try(model.models_dir, null),
 artifact = try(model.artifact, null), pool = try(model.pool, null),
 backend = try(model.backend, null) != null, {_FUNCTION.format("model")}
 }}}}, pools = {{ for name, pool in try(merge(module.stack.deployment.pools), {{}}) : name => {{
 {_FUNCTION.format("pool")}
 }}}}}})"""


@dataclass(frozen=True)
class ConfiguredModel:
    """A model in an environment's configuration.

    Attributes:
        name: its name in /predict/{model}.
        folder: its model folder.
        artifact: `s3://bucket/key` when its artifact comes from there.
        own_package: the environment names a zip or an image of its own for its worker.
        image: `make deploy` has built an image for its worker.
        pool: the pool that it is in.
        backend: it runs at a GPU provider; its dispatcher's package is that of all of them, so it has `own_package`.
        sync: its worker's package is that of a synchronous function, too.
    """

    name: str
    folder: Path
    artifact: str | None = None
    own_package: bool = False
    image: bool = False
    pool: str | None = None
    backend: bool = False
    sync: bool = False

    @property
    def worker(self) -> str:
        """The name of its queue and its worker: the pool's, else its own."""
        return self.pool or self.name


@dataclass(frozen=True)
class WorkerLimits:
    """What a worker may use of the account; 0 where it is unknown or not set. `provisioned_concurrency`: the largest
    number that a schedule or target tracking may set, too."""

    memory_mb: int = 0
    maximum_concurrency: int = 0
    reserved_concurrency: int = 0
    provisioned_concurrency: int = 0


@dataclass(frozen=True)
class EnvironmentConfig:
    """An environment's configuration.

    Attributes:
        architecture: x86_64 or arm64.
        models: by name.
        prefix: of all names in its deployment.
        region: AWS region; None: the shell's.
        images_from_parameters: `make deploy` says which images run its workers; else they run from zips.
        limits: worker -> what it may use.
        canaries: names of the functions whose new versions get a share of the invocations until they are promoted.
    """

    architecture: str
    models: Mapping[str, ConfiguredModel]
    prefix: str = ""
    region: str | None = None
    images_from_parameters: bool = False
    limits: Mapping[str, WorkerLimits] = field(default_factory=dict)
    canaries: frozenset[str] = frozenset()

    @property
    def folders(self) -> set[Path]:
        """The model folders; a folder of two models is there once."""
        return {model.folder for model in self.models.values()}

    @property
    def pools(self) -> dict[str, list[ConfiguredModel]]:
        """The models of each pool."""
        found: dict[str, list[ConfiguredModel]] = {}
        for model in self.models.values():
            if model.pool:
                found.setdefault(model.pool, []).append(model)
        return found

    @property
    def in_s3(self) -> set[Path]:
        """Model folders whose artifact is not needed in a package, since all their models take it from S3."""
        shipped = {model.folder for model in self.models.values() if model.artifact is None}
        return self.folders - shipped


def read_config(environment: str, *, images: bool = True) -> EnvironmentConfig:
    """Read an environment's configuration.

    Args:
        images: ask AWS which models run from images; else `image` is False.

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
        # Relative to the environment's folder, as in Terraform.
        parent = folder / said["models_dir"] if said["models_dir"] else MODELS
        model_folder = Path((parent / said["source"]).resolve())
        _check(environment, name, model_folder)
        pool = said["pool"]
        function = answer["pools"].get(pool, {"package": False, "sync": False}) if pool else said
        backend = said["backend"]
        models[name] = ConfiguredModel(
            name,
            model_folder,
            said["artifact"],
            function["package"] or backend,
            (pool or name) in deployed and not backend,
            pool,
            backend,
            function["sync"],
        )
    limits = {worker: _limits(answer, worker, models) for worker in {model.worker for model in models.values()}}
    return EnvironmentConfig(
        answer["architecture"],
        models,
        answer["prefix"],
        answer["region"],
        answer["parameters"],
        limits,
        _canaries(answer),
    )


def _canaries(answer: Mapping[str, Any]) -> frozenset[str]:
    """A value of the wrong kind counts as none here: the plan rejects it."""
    workers = {name: said for name, said in answer["models"].items() if not said["pool"]} | answer["pools"]
    shares = {"api": answer["api_canary"], **{f"worker-{name}": said["canary"] for name, said in workers.items()}}
    return frozenset(
        f"{answer['prefix']}-{function}"
        for function, share in shares.items()
        if isinstance(share, int | float) and share > 0
    )


def _limits(answer: Mapping[str, Any], worker: str, models: Mapping[str, ConfiguredModel]) -> WorkerLimits:
    """The limits of a worker, as the stack has them: of the environment, its models' manifests, or the defaults.

    A value of the wrong kind counts as none here: the plan rejects it.
    """
    kind = "pools" if worker in answer["pools"] else "models"
    said = answer[kind].get(worker, {})
    folders = [model.folder for model in models.values() if model.worker == worker]
    known = defaults(kind) | {"memory_mb": max(map(_manifest_memory_mb, folders))}
    found = {}
    for name in (each.name for each in fields(WorkerLimits)):
        found[name] = next((value for value in (said.get(name), known.get(name)) if type(value) is int), 0)
    return WorkerLimits(**found)


def _manifest_memory_mb(folder: Path) -> int:
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8")).get("memory_mb")
    except ValueError:
        return 0
    return found if type(found) is int else 0


def _deployed_images(region: str | None, prefix: str) -> frozenset[str]:
    """The workers that run from images; none where AWS can't be asked, which the plan itself will say."""
    from botocore.exceptions import BotoCoreError, ClientError

    from scripts.aws_errors import describe_aws_error

    try:
        return frozenset(deployed_images.read(aws_session.client_in("ssm", region), prefix))
    except (BotoCoreError, ClientError) as error:
        note(f"can't read which models run from images, so zips are built for all: {describe_aws_error(error)}")
        return frozenset()


def _evaluate(environment: str, folder: Path) -> dict[str, Any]:
    # Terraform's variables of the shell are not needed here: there is no state, only one expression to evaluate.
    env = {
        name: value
        for name, value in terraform.environment_env(environment).items()
        if name not in ("TF_WORKSPACE", "TF_DATA_DIR")
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
            shown = capture(
                [terraform.terraform_binary(), f"-chdir={work}", *arguments, "-no-color"],
                env,
                _EXPRESSION.replace("\n", " ") + "\n",
            )
            if shown.returncode:
                break
    # The console prints errors on resources that the built-in provider does not have, but evaluates the expression.
    answer = next((line for line in reversed(shown.stdout.splitlines()) if line.startswith('"')), None)
    if answer is None:
        said = (shown.stderr or shown.stdout).strip()[-1000:]
        raise CommandError(f"Terraform can't evaluate the configuration of {environment} ({folder}): {said}")
    try:
        read: dict[str, Any] = json.loads(json.loads(answer))
    except ValueError as error:
        raise CommandError(f"Terraform's output for {environment} is not JSON: {answer[:200]}") from error
    if unset := [key for key in ("architecture", "prefix", "parameters") if read[key] is None]:
        raise CommandError(f"{folder / 'main.tf'}: module stack does not set {', '.join(unset)}")
    return read


def _stub_module() -> dict[str, Any]:
    """A module with the stack's variables, of any type, whose output is their values."""
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
    """Check the model folder, with a clearer message than Terraform's."""
    if (folder / "manifest.json").is_file():
        return
    missing = folder / "manifest.json" if folder.is_dir() else folder
    raise CommandError(
        f"the environment {environment} has the model {name}, but {missing} does not exist: run "
        f"`make new-model NAME={name}`, or correct `models` in the environment's main.tf "
        "(source: the folder's name; models_dir: where it is)"
    )
