"""Create a model folder that works at once: it can be tried, tested and deployed before anything in it is changed.

    python -m scripts.model_tools.new_model NAME [--kind python|sklearn|onnx|torch] [--models-dir DIR]

The files come from scripts/model_tools/templates. A tiny artifact is trained and exported with the
same commands as the real one later.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from scripts.console import ROOT, CommandError, note, run
from scripts.deployment.environment_config import MODELS
from scripts.model_tools.model_process import run_in_model, train

TEMPLATES = ROOT / "scripts" / "model_tools" / "templates"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_SUFFIX = ".template"


@dataclass(frozen=True)
class Kind:
    """A kind of model: folders of templates, the manifest's runtime, and how the artifact is made.

    `artifact` is the file that training writes for the runtime `python`.
    """

    templates: tuple[str, ...]
    runtime: str
    memory_mb: int
    trained: bool = False
    artifact: str | None = None
    exported: str = ""


KINDS = {
    "python": Kind(("common", "python"), "python", 512),
    "sklearn": Kind(("common", "sklearn"), "python", 1024, trained=True, artifact="model.joblib"),
    "onnx": Kind(("common", "torch"), "onnx", 1769, trained=True, exported="onnx"),
    "torch": Kind(("common", "torch"), "torchscript", 1769, trained=True, exported="torchscript"),
}


def write(folder: Path, kind: Kind) -> None:
    """Write the files of a new model folder.

    Raises:
        CommandError: the name is wrong, or the folder exists.
    """
    name = folder.name
    if not _NAME.fullmatch(name) or name.endswith("-dlq"):
        raise CommandError(
            f"{name!r} is not a valid model name: use 1 to 31 lower-case letters, digits and hyphens, "
            "starting with a letter and not ending in -dlq",
            code=2,
        )
    if folder.exists():
        raise CommandError(f"{folder} exists: choose another NAME, or remove that folder")
    words = {
        "name": name,
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "runtime": kind.runtime,
        "memory_mb": str(kind.memory_mb),
        "format": kind.exported,
    }
    for templates in kind.templates:
        for path in sorted((TEMPLATES / templates).rglob(f"*{_SUFFIX}")):
            target = folder / path.relative_to(TEMPLATES / templates).with_suffix("")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Template(path.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")


def make_artifact(folder: Path, kind: Kind) -> None:
    """Train and export, each in a process of its own, as `make train-model` and `make export-model` do.

    Raises:
        CommandError: one of them fails; the folder stays.
    """
    if kind.trained:
        note(f"training a tiny model ({folder / 'training' / 'train.py'}) ...")
        if train(folder, kind.artifact):
            raise CommandError(f"training failed (see above): correct it, then `make train-model MODEL={folder.name}`")
    if kind.exported:
        note(f"exporting it for {kind.runtime} ...")
        command = ["-m", "scripts.model_tools.export_model", folder.name, "--install", kind.exported]
        if run_in_model(folder, [*command, "--models-dir", str(folder.parent)]):
            remedy = f"`make export-model MODEL={folder.name} INSTALL={kind.exported}`"
            raise CommandError(f"the export failed (see above): correct it, then {remedy}")


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="new_model", description="Create a model folder that works at once.")
    parser.add_argument("name", help="of the model and its folder")
    parser.add_argument("--kind", choices=KINDS, default="python")
    parser.add_argument(
        "--models-dir", type=Path, default=MODELS, help="where the folder goes (default: worker/models)"
    )
    args = parser.parse_args()
    folder, kind = (args.models_dir / args.name).resolve(), KINDS[args.kind]
    write(folder, kind)
    make_artifact(folder, kind)
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    elsewhere = "" if folder.parent == MODELS else f' models_dir = "{folder.parent}" '
    print(
        f"""\
{shown} is ready. What to do next:
  make try MODEL={shown if elsewhere else args.name} INPUT=@{shown}/tests/input.json
  make test-model MODEL={shown if elsewhere else args.name}
  add to `models` in terraform/environments/local/main.tf:   {args.name} = {{{elsewhere}}}
  make up
  make predict MODEL={args.name} INPUT="$(cat {shown}/tests/input.json)" """.rstrip()
    )
    return 0


if __name__ == "__main__":
    run(main)
