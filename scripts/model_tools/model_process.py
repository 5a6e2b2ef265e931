"""Train, test or export a model in a process of its own, with that model's libraries.

python -m scripts.model_tools.model_process train|test MODEL        MODEL: a folder in worker/models, or a path
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.console import ROOT, CommandError, run
from scripts.deployment.environment_config import MODELS
from scripts.packaging.libraries import libraries_of
from scripts.packaging.model_files import declare_artifact
from worker.model.runtimes import PYTHON

# The project's tests treat warnings as errors; a model's author can't fix warnings of its libraries.
_TESTS = ("-m", "pytest", "-q", "-o", "filterwarnings=default")


def model_folder(name: str) -> Path:
    """The folder of a model: one in worker/models by its name, or the folder at that path.

    Raises:
        CommandError: there is none.
    """
    for folder in (MODELS / name, Path(name)):
        if folder.is_dir() and (folder / "manifest.json").is_file():
            return folder.resolve()
    known = ", ".join(sorted(path.parent.name for path in MODELS.glob("*/manifest.json")))
    raise CommandError(
        f"there is no model folder {name}: MODEL is one of {known}, or the path of a folder with a manifest.json; "
        f"`make new-model NAME={Path(name).name}` creates one",
        code=2,
    )


def run_in_model(folder: Path, arguments: Sequence[str]) -> int:
    """Run this Python with a model's libraries on the path. Returns its exit code.

    Raises:
        CommandError: the libraries can't be installed.
    """
    libraries = libraries_of(folder, training=True)
    # TorchScript writes the constants of torch's layers in the order of a set: a fixed hash seed makes it reproducible.
    env = {"PYTHONHASHSEED": "0"} | os.environ | ({"PYTHONPATH": str(libraries)} if libraries else {})
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, check=False).returncode


def train(folder: Path, artifact: str | None = None) -> int:
    """Run training/train.py, and write its artifact for `python` into the manifest; returns its exit code.

    Args:
        folder: the model folder.
        artifact: name of that file; None: the one in the manifest, if any.

    Raises:
        CommandError: it succeeded, but that file is missing; or the libraries can't be installed.
    """
    code = run_in_model(folder, [str(folder / "training" / "train.py")])
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    name = artifact or manifest.get("artifacts", {}).get(PYTHON, {}).get("file")
    if code == 0 and name:
        if not (folder / name).is_file():
            raise CommandError(f"training ended, but {folder / name}, the artifact for {PYTHON}, is missing")
        declare_artifact(folder, PYTHON, name)
    return code


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="model_process", description="Train, test or export a model.")
    parser.add_argument("what", choices=("train", "test", "export"))
    parser.add_argument("model", help="a folder in worker/models, or the path of one")
    args, more = parser.parse_known_args()
    folder = model_folder(args.model)
    if args.what == "export":
        elsewhere = [] if folder.parent == MODELS else ["--models-dir", str(folder.parent)]
        return run_in_model(folder, ["-m", "scripts.model_tools.export_model", folder.name, *elsewhere, *more])
    path = folder / ("training/train.py" if args.what == "train" else "tests")
    if not path.exists():
        raise CommandError(f"{path} does not exist: nothing to {args.what}")
    return train(folder) if args.what == "train" else run_in_model(folder, [*_TESTS, str(path)])


if __name__ == "__main__":
    run(main)
