"""Tools that build and push container images: which one works on this machine, and their command lines."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.console import CommandError

BUILDERS = ("docker", "podman", "buildah")
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
"""Lambda's name of an architecture -> the builders' name."""

_PROBE_SECONDS = 60
_REMEDIES = {
    "docker": "start Docker, or point DOCKER_HOST to a daemon",
    "podman": "on macOS and Windows, `podman machine start`",
}


@dataclass(frozen=True)
class Builder:
    """A tool that works on this machine. `buildx` is docker's newer builder; without it docker uses its old one."""

    name: str
    buildx: bool = False

    def build_command(
        self,
        image: str,
        target: str,
        context: Path,
        options: Sequence[str] = (),
        *,
        architecture: str,
        fresh: bool = False,
    ) -> list[str]:
        """The command line that builds `image`; with `fresh`, on the newest base image of that name."""
        # Without --layers, buildah keeps no layers: each model's image would install the runtime's libraries again.
        command = ["buildah", "bud", "--layers"] if self.name == "buildah" else [self.name, "build"]
        if self.buildx:
            # Called directly, since with DOCKER_BUILDKIT=0 `docker build` is the old builder. Lambda rejects an image
            # index, which attestations would need; the old builder and the other tools write none.
            command = ["docker", "buildx", "build", "--load", "--provenance=false"]
        command += ["--file", str(context / "Dockerfile"), "--platform", PLATFORMS[architecture]]
        if fresh:
            command.append("--pull" if self.name == "docker" else "--pull=newer")
        return [*command, "--tag", image, "--target", target, *options, str(context)]

    def push_command(self, image: str, digest_file: Path) -> list[str]:
        """The command line that pushes `image`; podman and buildah write the digest to `digest_file`."""
        if self.name == "docker":
            return [self.name, "push", image]
        return [self.name, "push", f"--digestfile={digest_file}", image]

    def digest(self, image: str, digest_file: Path) -> str:
        """The digest under which the registry has the image that was pushed.

        Raises:
            CommandError: docker does not report it.
        """
        if self.name != "docker":
            return digest_file.read_text(encoding="utf-8").strip()
        shown = subprocess.run(
            [self.name, "image", "inspect", image], capture_output=True, encoding="utf-8", errors="replace", check=True
        )
        repository = image.rpartition(":")[0]
        digests: list[str] = json.loads(shown.stdout)[0]["RepoDigests"]
        digest = next((d.partition("@")[2] for d in digests if d.startswith(f"{repository}@")), None)
        if digest is None:
            raise CommandError(f"docker reports no digest of {image}: look it up in the registry")
        return digest


def find_builder(choice: str | None = None) -> Builder:
    """The first tool that works, or the chosen one.

    Raises:
        CommandError: none works; with the reason for each that is installed.
    """
    rejected = {}
    for name in [choice] if choice else BUILDERS:
        if not shutil.which(name):
            continue
        reason = _reason_against(name)
        if reason is None:
            return Builder(name, buildx=name == "docker" and _answers("docker", "buildx", "version"))
        rejected[name] = reason
    if not rejected:
        raise CommandError(f"no image builder: install {choice or 'one of ' + ', '.join(BUILDERS)}")
    raise CommandError("no image builder works: " + "; ".join(f"{name}: {reason}" for name, reason in rejected.items()))


def _reason_against(name: str) -> str | None:
    """Why an installed tool can't build, and what to do; None if it can."""
    if name == "buildah":
        return None  # it needs no daemon and no machine
    try:
        done = _probe(name, "info")
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"`{name} info` does not answer ({error}); {_REMEDIES[name]}"
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        return f"`{name} info` says: {said[-1]} ({_REMEDIES[name]})"
    if name == "docker" and "buildahVersion" in done.stdout:
        return "it is podman under the name docker (use podman)"
    return None


def _answers(*command: str) -> bool:
    try:
        return _probe(*command).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _probe(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=_PROBE_SECONDS,
        stdin=subprocess.DEVNULL,
    )
