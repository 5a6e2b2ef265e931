"""Build the workers' container images, push them, and print the references to deploy, by digest.

    python -m scripts.packaging.image [--target lambda|server] [--only SOURCE]... [--architecture x86_64|arm64]
                            [--builder docker|podman|buildah] [--push --repository URL] [--models-dir DIR]...
                            [--build-arg NAME=VALUE]...

One image for each model folder, and for each pool one with all its model folders: with the libraries of their
requirements.txt. Images of one runtime share the layer with the runtime's libraries, which is built and pushed once.
What an image is for, beside a worker on Lambda: scripts/packaging/targets.py.
The build context is written to build/image: the files of a worker's zip, the Dockerfile, and what it copies.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.deployment.environment_config import MODELS
from scripts.packaging import gpu_app
from scripts.packaging.builders import BUILDERS, PLATFORMS, Builder, find_builder
from scripts.packaging.libraries import REQUIREMENTS
from scripts.packaging.model_files import find_models, worker_files
from scripts.packaging.targets import LAMBDA, TARGETS, Target
from worker.model.errors import ManifestError
from worker.model.manifest import Manifest
from worker.model.runtimes import PYTHON

CONTEXT = BUILD / "image"
STAGES = {"onnx": {PYTHON, "onnx"}, "torch": {PYTHON, "torchscript", "aotinductor"}}
"""Stage of the Dockerfile -> the runtimes whose libraries it has."""
ARCHITECTURE = "x86_64"  # of the environments as shipped, too

_COPIED = (
    "Dockerfile",
    "install.sh",
    "trim.sh",
    *(f"requirements/{path.name}" for path in sorted((ROOT / "worker" / "requirements").glob("*.txt"))),
)


def stage_of(*models: Path) -> str:
    """The stage of the Dockerfile that runs model folders.

    Raises:
        CommandError: a manifest is wrong, or their runtimes need libraries of more than one stage.
    """
    try:
        runtimes = {model.name: Manifest.read(model / "manifest.json").runtime for model in models}
    except ManifestError as error:
        raise CommandError(str(error)) from error
    for name, able in STAGES.items():
        if able.issuperset(runtimes.values()):
            return name
    named = ", ".join(f"{model} ({runtime})" for model, runtime in sorted(runtimes.items()))
    raise CommandError(
        f"no image has the libraries of all these runtimes: {named}. Put onnx and torchscript or aotinductor in "
        "different pools, or export one of the models to the other runtime (`make export-model`)"
    )


def make_context(folder: Path, *models: Path, in_s3: Collection[Path] = (), target: Target = LAMBDA) -> str:
    """Fill `folder`, which is emptied first; returns the digest of what is inside, as hex digits.

    Args:
        folder: the build's context.
        models: the model folders.
        in_s3: those whose artifact comes from S3.
        target: what the image is for.
    """
    files = {name: (ROOT / "worker" / name).read_bytes() for name in _COPIED}
    for model in models:
        shipped = worker_files(model.name, model, in_s3=model in in_s3, rooms=target.rooms)
        files |= {f"app/{name}": data for name, data in shipped.items()}
    own = [model / REQUIREMENTS for model in models if (model / REQUIREMENTS).is_file()]
    wanted = [path.read_bytes() for path in (*own, *(ROOT / "worker" / name for name in target.requirements))]
    files["model/requirements.txt"] = b"\n".join(wanted)
    if folder.exists():
        shutil.rmtree(folder)
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest.update(f"{name}\0".encode() + hashlib.sha256(data).digest())
    return digest.hexdigest()


def new_tag(name: str, architecture: str, context: str, now: datetime) -> str:
    """A tag that no other build has, for people: what is deployed is the digest.

    A tag made from the sources alone would be rejected by a registry with immutable tags: two builds of the same
    sources differ, for example because of a newer base image.
    """
    return f"{name}-{architecture}-{now:%Y%m%d-%H%M%S}-{context[:8]}"


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="image", description="Build and push the workers' images.")
    parser.add_argument("--repository", default="inference-worker", help="URL of the repository (ECR)")
    choices = [*TARGETS, *gpu_app.IMAGES]
    parser.add_argument("--target", choices=choices, default="lambda", help="what the image is for (default: lambda)")
    parser.add_argument(
        "--gpu", default="A10G", help="of the targets cog and runpod: `none` leaves out CUDA's libraries"
    )
    parser.add_argument("--only", action="append", help="build the image of this model folder only")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], help="holds more model folders")
    parser.add_argument("--build-arg", action="append", default=[], help="NAME=VALUE, as the builder takes it")
    parser.add_argument("--architecture", choices=PLATFORMS, default=ARCHITECTURE, help=f"default: {ARCHITECTURE}")
    parser.add_argument("--builder", choices=BUILDERS, help="default: the first of them that works")
    parser.add_argument("--push", action="store_true", help="build on the newest base, push, print it by digest")
    args = parser.parse_args()
    builder = find_builder(args.builder)
    for model in find_models([MODELS, *args.models_dir], args.only).values():
        if args.target in gpu_app.IMAGES:
            app = (args.target, args.gpu, args.architecture, args.build_arg)
            image = build_app(builder, args.repository, model, *app, fresh=args.push)
            print(push(builder, image) if args.push else image)
            continue
        target = TARGETS[args.target]
        name = f"{model.name}{target.suffix}"
        place = (builder, args.repository, name, [model], args.architecture, args.build_arg)
        image = build(*place, fresh=args.push, target=target)
        print(push(builder, image) if args.push else image)
    return 0


def build(
    builder: Builder,
    repository: str,
    name: str,
    models: Sequence[Path],
    architecture: str,
    build_args: Sequence[str] = (),
    *,
    fresh: bool,
    in_s3: Collection[Path] = (),
    target: Target = LAMBDA,
) -> str:
    """Build the image of a worker, on the newest base if `fresh`; returns its name and tag.

    Args:
        name: what the tag begins with.
        models: the model folders that it runs.
        target: what it is for.

    Raises:
        CommandError: it can't be built.
    """
    stage = f"{stage_of(*models)}{target.suffix}"
    context = make_context(CONTEXT, *models, in_s3=in_s3, target=target)
    tag = new_tag(name, architecture, context, datetime.now(UTC))
    image = f"{repository}:{tag}"
    note(f"building {image} with {builder.name}")
    options = [part for argument in build_args for part in ("--build-arg", argument)]
    _run(builder.build_command(image, stage, CONTEXT, options, architecture=architecture, fresh=fresh))
    return image


def build_app(
    builder: Builder,
    repository: str,
    model: Path,
    kind: str,
    gpu: str,
    architecture: str,
    build_args: Sequence[str] = (),
    *,
    fresh: bool,
) -> str:
    """Build the image of a model folder for a GPU provider; returns its name and tag. `gpu`: see `gpu_app.app_files`.

    Raises:
        CommandError: it can't be built.
    """
    gpu_app.write(model, kind, gpu, CONTEXT)
    digest = hashlib.sha256()
    for path in sorted(path for path in CONTEXT.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(CONTEXT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    image = f"{repository}:{new_tag(f'{model.name}-{kind}', architecture, digest.hexdigest(), datetime.now(UTC))}"
    note(f"building {image} with {builder.name}")
    options = [part for argument in build_args for part in ("--build-arg", argument)]
    _run(builder.build_command(image, gpu_app.STAGE, CONTEXT, options, architecture=architecture, fresh=fresh))
    return image


def push(builder: Builder, image: str) -> str:
    """Push an image; returns it by digest. Raises CommandError where the registry does not take it."""
    digest_file = BUILD / "image.digest"
    _run(builder.push_command(image, digest_file))
    return f"{image.rpartition(':')[0]}@{builder.digest(image, digest_file)}"


def _run(command: Sequence[str]) -> None:
    """Run with the tool's output on stderr: stdout is for the reference alone."""
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise CommandError(f"`{' '.join(command[:2])}` failed: see above")


if __name__ == "__main__":
    run(main)
