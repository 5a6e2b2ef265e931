"""The tools that build images: which one is taken, and the command lines it gets. Each is a script that plays it."""

import os
from pathlib import Path

import pytest

from scripts.console import CommandError
from scripts.packaging.builders import BUILDERS, Builder, find_builder

DOWN = 'echo "Client: 28.2.2"; echo "Cannot connect to the Docker daemon" >&2; exit 1'
CONTEXT = Path("context")
DOCKERFILE = str(CONTEXT / "Dockerfile")
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def tool(folder: Path, name: str, script: str = "exit 0") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_first_that_works_is_taken(tools: Path) -> None:
    for name in BUILDERS:
        tool(tools, name)
    assert find_builder() == Builder("docker", buildx=True)


def test_docker_without_buildx_is_the_old_builder(tools: Path) -> None:
    tool(tools, "docker", '[ "$1" != buildx ]')
    assert find_builder() == Builder("docker", buildx=False)


def test_a_client_without_its_daemon_is_passed_over(tools: Path) -> None:
    tool(tools, "docker", DOWN)
    tool(tools, "podman", "exit 125")
    tool(tools, "buildah", "exit 1")  # has no daemon to ask
    assert find_builder() == Builder("buildah")


def test_podman_that_is_called_docker_is_passed_over(tools: Path) -> None:
    tool(tools, "docker", 'echo "  buildahVersion: 1.28.2"')
    tool(tools, "podman")
    assert find_builder() == Builder("podman")


def test_where_none_works_each_is_named_with_its_reason_and_remedy(tools: Path) -> None:
    tool(tools, "docker", DOWN)
    tool(tools, "podman", 'echo "no machine" >&2; exit 125')
    with pytest.raises(CommandError) as failure:
        find_builder()
    said = str(failure.value)
    assert "docker: `docker info` says: Cannot connect to the Docker daemon (start Docker" in said
    assert "podman: `podman info` says: no machine (" in said
    assert "podman machine start" in said
    assert "buildah" not in said
    assert "\n" not in said


def test_a_tool_that_cannot_be_started_is_rejected_too(tools: Path) -> None:
    (tools / "docker").write_bytes(b"\x00")
    (tools / "docker").chmod(0o755)
    with pytest.raises(CommandError, match="docker: `docker info` does not answer"):
        find_builder()


def test_where_there_is_none_all_are_named(tools: Path) -> None:
    with pytest.raises(CommandError, match="no image builder: install one of docker, podman, buildah"):
        find_builder()


def test_the_choice_is_taken_or_rejected_and_never_replaced(tools: Path) -> None:
    tool(tools, "docker")
    tool(tools, "buildah")
    assert find_builder("buildah") == Builder("buildah")
    with pytest.raises(CommandError, match="no image builder: install podman"):
        find_builder("podman")
    tool(tools, "podman", 'echo "no machine" >&2; exit 125')
    with pytest.raises(CommandError, match=r"podman: .*no machine"):
        find_builder("podman")


@pytest.mark.parametrize(
    ("builder", "begins"),
    [
        (Builder("docker", buildx=True), ["docker", "buildx", "build", "--load", "--provenance=false"]),
        (Builder("docker"), ["docker", "build"]),
        (Builder("podman"), ["podman", "build"]),
        (Builder("buildah"), ["buildah", "bud", "--layers"]),
    ],
)
def test_the_command_line_that_builds(builder: Builder, begins: list[str]) -> None:
    command = builder.build_command("r:tag", "onnx", CONTEXT, ["--build-arg", "A=b"], architecture="x86_64")
    known = ["--file", DOCKERFILE, "--platform", "linux/amd64", "--tag", "r:tag", "--target", "onnx"]
    assert command == [*begins, *known, "--build-arg", "A=b", "context"]


@pytest.mark.parametrize("builder", [Builder("docker"), Builder("docker", buildx=True), *map(Builder, BUILDERS[1:])])
def test_the_architecture_is_always_said(builder: Builder) -> None:
    command = builder.build_command("r:tag", "onnx", CONTEXT, architecture="arm64")
    assert command[command.index("--platform") + 1] == "linux/arm64"


@pytest.mark.parametrize(
    ("name", "option"), [("docker", "--pull"), ("podman", "--pull=newer"), ("buildah", "--pull=newer")]
)
def test_a_fresh_build_asks_for_the_newest_base(name: str, option: str) -> None:
    plain = Builder(name).build_command("r:tag", "onnx", CONTEXT, architecture="x86_64")
    fresh = Builder(name).build_command("r:tag", "onnx", CONTEXT, architecture="x86_64", fresh=True)
    assert [part for part in fresh if part not in plain] == [option]


def test_docker_pushes_and_tells_the_digest_when_asked(tools: Path) -> None:
    builder, file = Builder("docker"), tools / "digest"
    image = "localhost:5000/worker:tag"
    assert builder.push_command(image, file) == ["docker", "push", image]
    digests = f'["elsewhere@sha256:1", "localhost:5000/worker-old@sha256:2", "localhost:5000/worker@{DIGEST}"]'
    tool(tools, "docker", f'[ "$*" = "image inspect {image}" ] && echo \'[{{"RepoDigests": {digests}}}]\'')
    assert builder.digest(image, file) == DIGEST
    tool(tools, "docker", """echo '[{"RepoDigests": []}]'""")
    with pytest.raises(CommandError, match="reports no digest of localhost:5000/worker:tag"):
        builder.digest(image, file)


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_podman_and_buildah_write_the_digest_to_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "digest"
    assert Builder(name).push_command("r:tag", file) == [name, "push", f"--digestfile={file}", "r:tag"]
    file.write_text(DIGEST + os.linesep)
    assert Builder(name).digest("r:tag", file) == DIGEST
