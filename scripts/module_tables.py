"""The input and output tables in the READMEs of the Terraform modules, between terraform-docs' markers.

    python -m scripts.module_tables            write them
    python -m scripts.module_tables --check    print which are out of date; exit code 1 if any is

The tables are the same as those of terraform-docs with .terraform-docs.yml; for machines without terraform-docs.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
from hcl2 import SerializationOptions

from scripts.console import ROOT, CommandError, note, run

TERRAFORM = ROOT / "terraform"
BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"

_OPTIONS = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
_BETWEEN = re.compile(rf"{BEGIN}\n.*?{END}", re.DOTALL)

Blocks = Mapping[str, Mapping[str, Any]]


def folders() -> list[Path]:
    """The folders whose READMEs have tables: the stack and every module."""
    return [TERRAFORM / "stack", *sorted(path.parent for path in TERRAFORM.glob("modules/*/main.tf"))]


def tables(folder: Path) -> str:
    """The text between the markers of a module's README."""
    variables, outputs = _blocks(folder, "variable"), _blocks(folder, "output")
    inputs = [[name, _cell(body), "no" if "default" in body else "yes"] for name, body in variables.items()]
    parts = [
        *_table("Inputs", ("Name", "Description", "Required"), ("----", "-----------", ":------:"), inputs),
        "",
        *_table(
            "Outputs", ("Name", "Description"), ("----", "-----------"), [[n, _cell(b)] for n, b in outputs.items()]
        ),
    ]
    return "\n".join(parts)


def with_tables(readme: str, folder: Path) -> str:
    """A README's text with up-to-date tables.

    Raises:
        CommandError: it has no markers.
    """
    if not _BETWEEN.search(readme):
        raise CommandError(f"{folder / 'README.md'} has no lines {BEGIN} and {END}: put them where the tables belong")
    return _BETWEEN.sub(lambda _: f"{BEGIN}\n{tables(folder)}\n{END}", readme)


def update(wanted: Mapping[Path, str], check: bool) -> int:
    """Write the pages that are out of date, or only name them. The command's exit code: 1 when a check finds one."""
    stale = [path for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
        name = path.relative_to(ROOT)
        note(f"{name}: its tables are out of date: run `make docs`" if check else f"{name}: written")
    return 1 if check and stale else 0


def _blocks(folder: Path, kind: str) -> Blocks:
    """All blocks of a kind in a module, by name, in the order of names."""
    found = {}
    for path in folder.glob("*.tf"):
        parsed = hcl2.loads(path.read_text(encoding="utf-8"), serialization_options=_OPTIONS)
        for block in parsed.get(kind, ()):
            found.update(block)
    return dict(sorted(found.items()))


def _cell(body: Mapping[str, Any]) -> str:
    """A description in a table cell: as in terraform-docs, | is escaped outside of code."""
    parts = str(body.get("description") or "n/a").split("`")
    return "`".join(part if index % 2 else part.replace("|", "\\|") for index, part in enumerate(parts))


def _table(title: str, head: tuple[str, ...], rule: tuple[str, ...], rows: list[list[str]]) -> Iterator[str]:
    yield from (f"## {title}", "")
    if not rows:
        yield f"No {title.lower()}."
        return
    yield from (f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="module_tables", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a table is out of date")
    args = parser.parse_args()
    readmes = {folder / "README.md": folder for folder in folders()}
    return update(
        {path: with_tables(path.read_text(encoding="utf-8"), folder) for path, folder in readmes.items()}, args.check
    )


if __name__ == "__main__":
    run(main)
