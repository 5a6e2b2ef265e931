"""Compile the sources in a zip: Lambda can't store compiled code, so every cold start would compile again.

Python ignores the `.pyc` files of another minor version, so the version that will run them has to compile. If that is
not this Python, it is started as a subprocess:

    python3.13 -m scripts.packaging.bytecode      sources on stdin, their bytecode on stdout, both marshalled
"""

import importlib.util
import marshal
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import CodeType

from scripts.console import ROOT, CommandError, run

_UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552: used without a check of dates or sources
_NO_REFERENCES = 2  # marshal's later formats depend on the interpreter's state: not reproducible


def find_python(version: str) -> str | None:
    """Path of a CPython of this minor version, such as 3.13: this one, else that on PATH, else None."""
    tag = f"cpython-{version.replace('.', '')}"
    if sys.implementation.cache_tag == tag:
        return sys.executable
    path = shutil.which(f"python{version}")
    if path is None:
        return None
    # Version managers put names on PATH also for versions that are not installed.
    command = [path, "-c", "import sys; print(sys.implementation.cache_tag)"]
    try:
        shown = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except OSError:
        return None
    return path if shown.stdout.strip() == tag else None


def compiled(sources: Mapping[str, bytes], python: str = sys.executable) -> dict[str, bytes]:
    """The `.pyc` of each `.py` among `sources` (path -> content), by its path, as `python` makes it.

    The bytes are the same for everyone with that release of Python (but see `_dump`).

    Raises:
        CommandError: a source does not compile.
    """
    code = {name: source for name, source in sources.items() if name.endswith(".py")}
    if python != sys.executable:
        return _compiled_by(python, code)
    try:
        return {_pyc_path(name): _pyc(name, source) for name, source in code.items()}
    except SyntaxError as error:
        raise CommandError(f"{error.filename}, line {error.lineno}: {error.msg}") from error


def _compiled_by(python: str, sources: dict[str, bytes]) -> dict[str, bytes]:
    # Without the caller's PYTHON* variables, and without leaving bytecode of its own in scripts/.
    command = [python, "-E", "-s", "-B", "-m", "scripts.packaging.bytecode"]
    done = subprocess.run(
        command, cwd=ROOT, input=marshal.dumps(sources, _NO_REFERENCES), capture_output=True, check=False
    )
    if done.returncode:
        raise CommandError(done.stderr.decode().strip().removeprefix("error: "))
    made: dict[str, bytes] = marshal.loads(done.stdout)
    return made


def _pyc_path(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")


def _pyc(name: str, source: bytes) -> bytes:
    # The import system replaces `name` by the real path, for tracebacks.
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return header + _dump(code)


def _dump(code: CodeType) -> bytes:
    try:
        return marshal.dumps(code, _NO_REFERENCES)
    except ValueError:
        # Python 3.14 stores slices as constants, which that format does not support: not always reproducible.
        return marshal.dumps(code)


def main() -> int:
    """What another version of Python runs."""
    sources: dict[str, bytes] = marshal.load(sys.stdin.buffer)
    sys.stdout.buffer.write(marshal.dumps(compiled(sources), _NO_REFERENCES))
    return 0


if __name__ == "__main__":
    run(main)
