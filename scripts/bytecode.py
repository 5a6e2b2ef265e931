"""Compile the sources in a zip: where it runs, compiled code can't be kept, so each cold start would compile anew.

The `.pyc` files are those of the Python that packages. Another version ignores them, and compiles.
"""

import importlib.util
import marshal
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import CodeType

_UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552: trust it; neither dates nor sources are compared
_NO_REFERENCES = 2  # marshal's later formats depend on what else the interpreter holds: not the same bytes each time


def compiled(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """The `.pyc` of each `.py` among `sources` (path -> content), by its path. Raises SyntaxError."""
    return {_pyc_path(name): _pyc(name, source) for name, source in sources.items() if name.endswith(".py")}


def _pyc_path(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")


def _pyc(name: str, source: bytes) -> bytes:
    # The import system puts the real path in the place of `name`, for tracebacks.
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return header + _dump(code)


def _dump(code: CodeType) -> bytes:
    try:
        return marshal.dumps(code, _NO_REFERENCES)
    except ValueError:  # Python 3.14 keeps slices as constants, which that format doesn't know
        return marshal.dumps(code)
