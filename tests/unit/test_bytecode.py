"""Bytecode in the zips: which Python makes it, for which environment, and that it does so reproducibly."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.console import ROOT, CommandError
from scripts.packaging.bytecode import compiled, find_python
from scripts.packaging.package import python_of, stack_version

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "3.99"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(file: Path, script: str) -> str:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_this_python_is_taken_where_it_is_the_version(path: Path) -> None:
    program(path / f"python{HERE}", "exit 1")
    assert find_python(HERE) == sys.executable


def test_else_that_on_the_path_if_it_really_is_there(path: Path) -> None:
    assert find_python(OTHER) is None
    program(path / f"python{OTHER}", 'echo "python{OTHER}: command not found" >&2; exit 127')  # a version manager's
    assert find_python(OTHER) is None
    program(path / f"python{OTHER}", "echo pypy399")
    assert find_python(OTHER) is None
    (path / f"python{OTHER}").write_bytes(b"\x00")
    assert find_python(OTHER) is None
    there = program(path / f"python{OTHER}", "echo cpython-399")
    assert find_python(OTHER) == there


def test_another_python_makes_the_same_bytes_in_a_process_of_its_own(tmp_path: Path) -> None:
    sources = {str(file): file.read_bytes() for file in sorted((ROOT / "worker").rglob("*.py"))}
    other = program(tmp_path / "python", f'exec {sys.executable} "$@"')
    assert compiled(sources | {"data.json": b"{}"}, other) == compiled(sources)


@pytest.mark.parametrize("other", [False, True])
def test_a_source_that_does_not_compile_is_named(other: bool, tmp_path: Path) -> None:
    python = program(tmp_path / "python", f'exec {sys.executable} "$@"') if other else sys.executable
    with pytest.raises(CommandError, match=r"^api\.py, line 1: invalid syntax$"):
        compiled({"api.py": b"def fail(:\n"}, python)


def test_it_does_not_depend_on_the_process_that_makes_it() -> None:
    code = (
        "import hashlib, pathlib; from scripts.packaging.bytecode import compiled; "
        "paths = [path for folder in ('lambda', 'worker') for path in sorted(pathlib.Path(folder).rglob('*.py'))]; "
        "files = {str(path): path.read_bytes() for path in paths}; "
        "print(hashlib.sha256(repr(sorted(compiled(files).items())).encode()).hexdigest())"
    )
    found = set()
    for seed, imported in (("1", ""), ("2", "import json, asyncio, typing; ")):
        env = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", imported + code]
        found.add(subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True).stdout)
    assert len(found) == 1


def test_locally_the_python_that_packages_compiles(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert python_of("local") == sys.executable
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_for_aws_only_the_version_that_runs_there_compiles(
    path: Path, environment: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-300")
    version = stack_version()
    assert python_of(environment) is None
    said = capsys.readouterr().err
    assert "the zips have no bytecode" in said
    assert f"put python{version}, which AWS runs, on PATH" in said
    assert said.count("\n") == 1
    there = program(path / f"python{version}", f"echo cpython-{version.replace('.', '')}")
    assert python_of(environment) == there
    assert capsys.readouterr().err == ""


def test_every_function_from_a_zip_has_the_version_that_is_compiled_for() -> None:
    files = [file for file in (ROOT / "terraform").rglob("*.tf") if ".terraform" not in file.parts]
    texts = [file.read_text() for file in files]
    assert not any(re.search(r'"python3\.\d+"', text) for text in texts), "the stack's defaults have it"
    assert sum(text.count("local.defaults.zip") for text in texts) >= 4, "three functions and the workers"


@pytest.mark.parametrize(
    ("goal", "command"),
    [
        ("package", "packaging.package --env dev"),
        ("plan", "deployment.apply --env dev --plan"),
        ("apply", "deployment.apply --env dev"),
        ("up", "deployment.apply --env local"),
    ],
)
def test_make_says_what_the_zips_are_for(goal: str, command: str) -> None:
    dry = ["make", "--dry-run", goal, "ENV=dev"]
    shown = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"-m scripts.{command}\n" in shown
