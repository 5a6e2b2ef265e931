"""Which module may know what: the rules know no HTTP, so that another trigger than the API can use them."""

from __future__ import annotations

import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import inference
from inference.http.problems import PROBLEMS

INFERENCE = Path(inference.__path__[0])
HTTP_LAYER = {"http", *(f"http.{path.stem}" for path in (INFERENCE / "http").glob("[!_]*.py"))}

RULES = sorted(
    ".".join(path.relative_to(INFERENCE).with_suffix("").parts)
    for room in (".", "store")  # what is in aws/ speaks HTTP with AWS
    for path in (INFERENCE / room).glob("*.py")
    if path.stem != "__init__"
)


def imported_by(modules: list[str]) -> set[str]:
    """What a process has imported that imports these modules of `inference`, without that prefix."""
    code = f"import sys\nfor name in {modules!r}: __import__('inference.' + name)\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(INFERENCE.parent), "PATH": ""},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
    )
    return {name.removeprefix("inference.") for name in run.stdout.split() if name.startswith("inference.")}


def test_the_rules_do_not_import_the_http_layer() -> None:
    assert {"service", "catalog", "store.payloads", "store.request_table"} <= set(RULES)
    imported = imported_by(RULES)
    assert set(RULES) <= imported
    assert not imported & HTTP_LAYER
    assert imported_by(sorted(HTTP_LAYER)) >= HTTP_LAYER, "else the lines above could not fail"


@pytest.mark.parametrize("module", RULES)
def test_the_rules_name_no_status_of_http(module: str) -> None:
    statuses = {str(problem.status) for problem in PROBLEMS.values()}
    source = (INFERENCE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        assert token.type != tokenize.NUMBER or token.string not in statuses, token
