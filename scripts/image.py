"""Build the worker's container image, push it, and print the reference to deploy: by digest, never by a moving tag.

python -m scripts.image [--push --repository URL]
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # started as a file: make the repository importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
from scripts.console import BUILD, ROOT, Failure, note, run

DOCKERFILE = ROOT / "worker" / "Dockerfile"
BUILDERS = ("docker", "podman", "buildah")
_SOURCES = ("worker", "lambda/inference")


def content_tag(root: Path = ROOT) -> str:
    """A tag that says what is inside: the first 16 hex digits of the digest of all sources."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def build_command(builder: str, image: str, target: str | None) -> list[str]:
    """The command line that builds `image`. Lambda refuses the image index that an attestation would make."""
    command = [builder, "bud" if builder == "buildah" else "build", "--file", str(DOCKERFILE), "--tag", image]
    if builder == "docker":
        command.append("--provenance=false")
    if target:
        command += ["--target", target]
    return [*command, str(ROOT)]


def push_commands(builder: str, image: str, digest_file: Path) -> list[list[str]]:
    """The command lines that push `image`; podman and buildah write the digest to `digest_file`."""
    if builder == "docker":
        return [[builder, "push", image]]
    return [[builder, "push", f"--digestfile={digest_file}", image]]


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="image", description="Build and push the worker's image.")
    parser.add_argument("--repository", default="inference-worker", help="URL of the repository (ECR)")
    parser.add_argument("--target", help="stage of the Dockerfile")
    parser.add_argument("--push", action="store_true", help="push it and print the reference by digest")
    args = parser.parse_args()
    if not DOCKERFILE.is_file():
        raise Failure(f"{DOCKERFILE.relative_to(ROOT)} is missing: there is no image to build")
    builder = next((name for name in BUILDERS if shutil.which(name)), None)
    if builder is None:
        raise Failure(f"no image builder: install one of {', '.join(BUILDERS)}")
    image = f"{args.repository}:{content_tag()}"
    note(f"building {image} with {builder}")
    _run(build_command(builder, image, args.target))
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
