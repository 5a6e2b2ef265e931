"""Build the worker's container image, push it, and print the reference to deploy: by digest, never by a moving tag.

    python -m scripts.image [--target onnx|torch] [--push --repository URL] [--models-dir DIR]...

The image carries every model that its target can run. The build's context is made in build/image: the same files that a
worker's zip has, and the Dockerfile with what it copies.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if not __package__:  # started as a file: make the repository importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
from scripts.console import BUILD, ROOT, Failure, note, run
from scripts.package import MODELS, find_models, worker_files
from worker.errors import ManifestError
from worker.manifest import Manifest
from worker.runtimes import PYTHON

CONTEXT = BUILD / "image"
BUILDERS = ("docker", "podman", "buildah")
TARGETS = {"onnx": {PYTHON, "onnx"}, "torch": {PYTHON, "torchscript", "aotinductor"}}
"""Stage of the Dockerfile -> the runtimes that it has the libraries of."""

_COPIED = ("Dockerfile", "install.sh", "requirements/common.txt", "requirements/onnx.txt", "requirements/torch.txt")


def choose_target(models: Mapping[str, Path]) -> str:
    """The one target that runs all models. Raises Failure where no target does."""
    runtimes = {_runtime(folder) for folder in models.values()}
    target = next((name for name, able in TARGETS.items() if runtimes <= able), None)
    if target is None:
        raise Failure(
            f"the models need {', '.join(sorted(runtimes))}, which no one image has: say --target "
            f"{' or --target '.join(TARGETS)}, and each image carries the models that it can run"
        )
    return target


def make_context(folder: Path, target: str, models: Mapping[str, Path], *, root: Path = ROOT) -> str:
    """Fill `folder`, which is emptied first; returns a tag that says what is inside: 16 hex digits of its digest."""
    able = {source: model for source, model in models.items() if _runtime(model) in TARGETS[target]}
    if not able:
        raise Failure(f"no model can run in the target {target}: choose another, or change a manifest's runtime")
    files = {name: (root / "worker" / name).read_bytes() for name in _COPIED}
    files |= {f"app/{name}": data for name, data in worker_files(able, root=root).items()}
    if folder.exists():
        shutil.rmtree(folder)
    digest = hashlib.sha256(f"{target}\0".encode())
    for name, data in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest.update(f"{name}\0".encode() + hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]


def _runtime(folder: Path) -> str:
    try:
        return Manifest.read(folder / "manifest.json").runtime
    except ManifestError as error:
        raise Failure(str(error)) from error


def build_command(builder: str, image: str, target: str, context: Path, options: Sequence[str] = ()) -> list[str]:
    """The command line that builds `image`. Lambda refuses the image index that an attestation would make."""
    command = [builder, "bud" if builder == "buildah" else "build", "--file", str(context / "Dockerfile")]
    if builder == "docker":
        command.append("--provenance=false")
    return [*command, "--tag", image, "--target", target, *options, str(context)]


def push_commands(builder: str, image: str, digest_file: Path) -> list[list[str]]:
    """The command lines that push `image`; podman and buildah write the digest to `digest_file`."""
    if builder == "docker":
        return [[builder, "push", image]]
    return [[builder, "push", f"--digestfile={digest_file}", image]]


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="image", description="Build and push the worker's image.")
    parser.add_argument("--repository", default="inference-worker", help="URL of the repository (ECR)")
    parser.add_argument("--target", choices=TARGETS, help="stage of the Dockerfile (default: what the models need)")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], help="holds more model folders")
    parser.add_argument("--build-arg", action="append", default=[], help="NAME=VALUE, as the builder takes it")
    parser.add_argument("--push", action="store_true", help="push it and print the reference by digest")
    args = parser.parse_args()
    builder = next((name for name in BUILDERS if shutil.which(name)), None)
    if builder is None:
        raise Failure(f"no image builder: install one of {', '.join(BUILDERS)}")
    models = find_models([MODELS, *args.models_dir])
    target = args.target or choose_target(models)
    image = f"{args.repository}:{make_context(CONTEXT, target, models)}"
    note(f"building {image}, target {target}, with {builder}")
    options = [part for argument in args.build_arg for part in ("--build-arg", argument)]
    _run(build_command(builder, image, target, CONTEXT, options))
    if not args.push:
        print(image)
        return 0
    print(f"{args.repository}@{_push(builder, image)}")
    return 0


def _push(builder: str, image: str) -> str:
    digest_file = BUILD / "image.digest"
    digest_file.parent.mkdir(exist_ok=True)
    for command in push_commands(builder, image, digest_file):
        _run(command)
    if builder != "docker":
        return digest_file.read_text().strip()
    shown = subprocess.run([builder, "image", "inspect", image], capture_output=True, text=True, check=True)
    repository = image.rpartition(":")[0]
    digests: list[str] = json.loads(shown.stdout)[0]["RepoDigests"]
    return next(d.partition("@")[2] for d in digests if d.startswith(f"{repository}@"))


def _run(command: Sequence[str]) -> None:
    """Run with the tool's output on stderr: stdout is for the reference alone."""
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise Failure(f"`{' '.join(command[:2])}` failed: see above")


if __name__ == "__main__":
    run(main)
