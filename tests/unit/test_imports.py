"""The import graph of lambda/, worker/ and scripts/ has no cycle, imports within functions included."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from scripts.console import ROOT

ON_THE_PATH = {"lambda": ROOT / "lambda", "worker": ROOT, "scripts": ROOT}
"""Folder -> where its modules' names begin."""

Graph = Mapping[str, Set[str]]


def modules() -> dict[str, Path]:
    """The modules of the product by name; a package is its __init__.py."""
    found = {}
    for folder, start in ON_THE_PATH.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(start).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: Set[str]) -> set[str]:
    """The modules that a module imports from, at any depth of its code, others than the known ones included.

    `from package import module` is an import of that module, not of the package, which imports what it needs itself.
    """
    names: set[str] = set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                part = f"{start}.{alias.name}"
                names.add(part if part in known else start)
    return names


def graph_of(paths: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> those of the same modules that it imports."""
    return {name: (imported(name, path, paths.keys()) & paths.keys()) - {name} for name, path in paths.items()}


def cycle_in(graph: Graph) -> list[str]:
    """The modules of one cycle, the first again at the end; none: an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = graph_of(modules())
    assert {
        "api",
        "inference.service",
        "worker.batch",
        "scripts.packaging.package",
        "scripts.bench.plan",
    } <= graph.keys()
    assert sum(map(len, graph.values())) > len(graph), "else no import was found"
    assert cycle_in(graph) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"a": "import b", "b": "from c import x", "c": "import a"},
        {"a": "import b", "b": "def f():\n    import a"},
        {"p/__init__": "", "p/a": "from p import b", "p/b": "from .a import x"},
        {"p/__init__": "", "p/a": "from . import b", "p/b": "if True:\n    from p import a"},
        {"p/__init__": "from p.a import x", "p/a": "import p"},
    ],
    ids=["of_three", "in_a_function", "relative", "of_a_package", "with_its_package"],
)
def test_a_cycle_is_found(tmp_path: Path, sources: dict[str, str]) -> None:
    paths = {}
    for name, source in sources.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
        paths[name.removesuffix("/__init__").replace("/", ".")] = path
    assert len(cycle_in(graph_of(paths))) >= 3


def test_modules_that_share_one_are_no_cycle() -> None:
    assert cycle_in({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []
