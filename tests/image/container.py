"""Building and running an image without Docker: buildah, a base made by debootstrap, a chroot that is read-only."""

import ast
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BASE = "localhost/async-inference-test-base"
SUITE = "bookworm"
NO_MIRROR = "Failed getting release file"  # what debootstrap says then
PACKAGES = "python3,python3-pip,binutils,ca-certificates"

RUN = """
set -e
root=$1 user=$2 folder=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot --userspec="$user" "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" env -i "$@"
"""
"""Runs as the image's user, its root read-only but for /tmp; in a mount namespace of its own, so nothing stays."""


@dataclass(frozen=True)
class Image:
    """A built image: its files, mounted, and its configuration."""

    target: str
    root: Path
    config: dict[str, Any]
    layers: list[str]
    """Digests of its layers, from the base on."""
    others_layers: list[str]
    """Those of an image of the same target whose model names another library."""


REPORT: list[str] = []
"""Lines for the end of the run: sizes and times."""


def why_not() -> str | None:
    """Why images can't be built here; None if they can."""
    if os.geteuid() != 0:
        return "building an image without Docker needs root"
    lacking = [tool for tool in ("buildah", "debootstrap", "unshare") if shutil.which(tool) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt-get install buildah debootstrap)"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "this machine lets nobody mount (unshare --mount fails), which building and running an image needs"
    return None


def buildah(*arguments: str | Path) -> str:
    """Run buildah; returns its output."""
    done = subprocess.run(["buildah", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"buildah {arguments[0]}: {done.stderr[-3000:]}"
    return done.stdout.strip()


def architecture() -> str:
    """This machine's, as Lambda calls it: what can be run here."""
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


def base_image(work: Path) -> str:
    """A Debian with Python and pip, made once and kept in buildah's storage."""
    if f"{BASE}:latest" in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        return BASE
    root = work / "root"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if NO_MIRROR in done.stdout + done.stderr:
        pytest.skip("debootstrap reaches no Debian mirror, and there is no base image yet")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    shutil.rmtree(root / "var" / "cache" / "apt" / "archives", ignore_errors=True)
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, root, "/")
    buildah("commit", "--quiet", container, BASE)
    buildah("rm", container)
    shutil.rmtree(root)
    return BASE


def pip_options(work: Path) -> list[str]:
    """Let pip inside the build find packages as it does here: this machine's settings, and the files they name."""
    shown = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    values = {}
    for line in shown.stdout.splitlines():
        key, _, value = line.partition("=")
        values[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    values.pop("constraint", None)  # about this machine's own environments
    config = work / "pip.conf"
    config.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
    mounted = {config: Path("/etc/pip.conf")}
    for url, path in re.findall(r"(?:^|\s)(file://)?(/\S+)", "\n".join(values.values())):
        folder = Path(path).parent if url else Path(path)  # an index's files lie beside it
        if folder.exists():
            mounted[folder] = folder
    return [part for source, target in mounted.items() for part in ("--volume", f"{source}:{target}:ro")]


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """The image's files."""
    container = buildah("from", "--pull-never", image)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("rm", container)


def config_of(image: str) -> dict[str, Any]:
    """The image's configuration: Env, Entrypoint, Cmd, User, WorkingDir."""
    config: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
    return config


def layers_of(image: str) -> list[str]:
    """Digests of an image's layers, from the base on."""
    layers: list[str] = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["rootfs"]["diff_ids"]
    return layers


def start(
    root: Path, config: Mapping[str, Any], environment: Mapping[str, str], log: Path, command: Sequence[str] = ()
) -> "subprocess.Popen[bytes]":
    """Start the image's own command, or another, as the image says."""
    settings = [*config["Env"], *(f"{name}={value}" for name, value in environment.items())]
    what = [*settings, *(command or [*config["Entrypoint"], *config.get("Cmd", ())])]
    arguments = [
        "unshare",
        "--mount",
        "/bin/sh",
        "-c",
        RUN,
        "sh",
        str(root),
        config["User"],
        config["WorkingDir"],
        *what,
    ]
    with log.open("wb") as file:
        return subprocess.Popen(arguments, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def megabytes(*paths: Path) -> float:
    """What lies under these paths, in MB."""
    shown = subprocess.run(
        ["du", "--summarize", "--bytes", *map(str, paths)], capture_output=True, text=True, check=True
    )
    return sum(int(line.split()[0]) for line in shown.stdout.splitlines()) / 1e6
