"""Make the zips that Lambda runs: the same bytes everywhere, for the same sources and the same release of Python.

    build/packages/lambda.zip           lambda/ + models.json + validators/ (one module per model folder)
    build/packages/worker-<source>.zip  worker/ with that one model folder + inference/ + validators/

Entries are sorted and stored uncompressed (the output of zlib depends on its version), with one fixed date and
mode. A zip whose bytes are right is left alone.

Beside each source lies its bytecode. The emulator runs functions with the Python that packages: for `local`, that one
compiles. AWS runs them with the stack's runtime: for the other environments a Python of that version does, and where
there is none, the zips have no bytecode.

Of a model folder ships everything but export.py, the folders tests/, data/ and training/, documents and notebooks
(*.md, *.ipynb), hidden files, the artifacts that the manifest has and doesn't choose, and, unless its runtime is
`python`, checkpoints (*.pth, *.ckpt), which no runtime opens.

    python -m scripts.package [--env ENVIRONMENT] [--out DIR] [--models-dir DIR]... [--only SOURCE]...
"""

import argparse
import hashlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:  # started as a file: make the repository importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
from scripts.bytecode import compiled, find_python
from scripts.console import BUILD, ROOT, Failure, note, run
from scripts.terraform import LOCAL, TERRAFORM
from scripts.validators import ERRORS_MODULE, SchemaError, module_name, render_validator
from worker.errors import ManifestError
from worker.manifest import Manifest
from worker.runtimes import PYTHON

__all__ = ["Packages", "build", "find_models", "render_validator", "worker_files"]

OUT = BUILD / "packages"
MODELS = ROOT / "worker" / "models"

_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}")  # what a manifest's name may be
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
_LEFT_OUT_FOLDERS = {"__pycache__", "tests", "data", "training"}
_LEFT_OUT_SUFFIXES = {".pyc", ".md", ".ipynb"}  # a reworded model card is no new deployment
_CHECKPOINTS = {".pth", ".ckpt"}
_LARGE = 10 * 2**20  # of a file that is not the artifact: it costs each cold start, and is seldom meant to ship
_SHOWN = 100 * 1024  # from here on the command lists a file by its name
_EXPORT = "export.py"  # a model's part of scripts/export_model.py

Files = dict[str, bytes]
"""Path inside a zip -> content."""


@dataclass(frozen=True)
class Packages:
    """The zips: of lambda/, and of each model folder's worker. `changed` are those just written."""

    lambda_zip: Path
    workers: Mapping[str, Path]
    changed: frozenset[Path]

    def __iter__(self) -> Iterator[Path]:
        yield self.lambda_zip
        yield from self.workers.values()


def find_models(model_dirs: Sequence[Path], sources: Collection[str] | None = None) -> dict[str, Path]:
    """Model folders (those with a manifest.json) by name, in the order of their names.

    Args:
        model_dirs: folders that hold model folders.
        sources: take only these.

    Raises:
        Failure: a name is wrong, taken twice or not there.
    """
    found: dict[str, Path] = {}
    for model_dir in model_dirs:
        if not model_dir.is_dir():
            raise Failure(f"{model_dir} is no folder: --models-dir names one that holds model folders")
        for manifest in sorted(model_dir.glob("*/manifest.json")):
            folder = manifest.parent
            if not _SOURCE.fullmatch(folder.name):
                raise Failure(f"{folder}: a model folder's name must match {_SOURCE.pattern}")
            rival = next((f for s, f in found.items() if module_name(s) == module_name(folder.name)), None)
            if rival is not None:
                raise Failure(f"{folder} and {rival} have the same name: rename one of them")
            found[folder.name] = folder
    missing = sorted(set(sources or ()) - found.keys())
    if missing:
        raise Failure(f"no model folder {', '.join(missing)} in {', '.join(map(str, model_dirs))}")
    return {name: found[name] for name in sorted(found) if not sources or name in sources}


def build(
    out: Path,
    model_dirs: Sequence[Path],
    sources: Collection[str] | None = None,
    *,
    root: Path = ROOT,
    python: str | None = sys.executable,
) -> Packages:
    """Make all zips in `out`.

    Args:
        out: folder of the zips.
        model_dirs: folders that hold model folders.
        sources: names of the model folders to package; None or empty for all.
        root: the repository.
        python: path of the Python that compiles; None leaves the bytecode out.

    Raises:
        Failure: a manifest, an artifact, a schema or a source is wrong; it names the file and the key or line.
    """
    models = find_models(model_dirs, sources)
    manifests = {source: _manifest(folder) for source, folder in models.items()}
    catalog = {source: {"version": m["version"], "manifest": m} for source, m in manifests.items()}

    api = _files(root / "lambda", "")
    api["models.json"] = (json.dumps(catalog, indent=1, sort_keys=True) + "\n").encode()
    api |= _validators(models, manifests)
    zips = {out / "lambda.zip": api}
    workers = {source: out / f"worker-{source}.zip" for source in models}
    for source, folder in models.items():
        zips[workers[source]] = worker_files({source: folder}, root=root)

    if python:
        zips = {path: files | compiled(files, python) for path, files in zips.items()}
    out.mkdir(parents=True, exist_ok=True)
    changed = frozenset(path for path, files in zips.items() if _write(path, _zip(files)))
    return Packages(out / "lambda.zip", workers, changed)


def worker_files(models: Mapping[str, Path], *, root: Path = ROOT) -> Files:
    """What a worker of these model folders consists of: worker/, inference/ and validators/, and nothing to spare.

    Raises:
        Failure: see `build`.
    """
    manifests = {source: _manifest(folder) for source, folder in models.items()}
    files = {
        name: data
        for name, data in _files(root / "worker", "worker/").items()
        if name.endswith(".py") and not name.startswith("worker/models/")
    }
    files |= _files(root / "lambda" / "inference", "inference/")
    files |= _validators(models, manifests)
    for source, folder in models.items():
        artifacts = manifests[source].get("artifacts", {})
        chosen = artifacts.get(manifests[source]["runtime"], {}).get("file")
        spare = {_EXPORT, *(artifact["file"] for artifact in artifacts.values())} - {chosen}
        model = {name: data for name, data in _files(folder, "").items() if name not in spare}
        if manifests[source]["runtime"] != PYTHON:
            model = {n: data for n, data in model.items() if n == chosen or Path(n).suffix not in _CHECKPOINTS}
        _warn(folder, model, chosen)
        files |= {f"worker/models/{source}/{name}": data for name, data in model.items()}
    return files


def python_of(environment: str) -> str | None:
    """Path of the Python that compiles for an environment; None, after a note, where there is none."""
    if environment == LOCAL:
        return sys.executable
    version = stack_version()
    python = find_python(version)
    if python is None:
        note(f"no bytecode in the zips, so starts take longer: AWS runs Python {version}; put python{version} on PATH")
    return python


def stack_version() -> str:
    """The minor version of Python that AWS runs zips with, as the module that makes the functions says."""
    path = TERRAFORM / "modules" / "function" / "variables.tf"
    match = re.search(r'\bruntime\s*=\s*optional\(string, "python(3\.\d+)"\)', path.read_text(encoding="utf-8"))
    if match is None:
        raise Failure(f"{path.relative_to(ROOT)} has no default for runtime: which Python is to compile?")
    return match[1]


def _warn(folder: Path, model: Files, chosen: str | None) -> None:
    if chosen is not None and chosen not in model:
        note(
            f"{folder / chosen} is missing and not in the worker's package: "
            'put it there, or set artifact = "s3://bucket/key" in the stack\'s models'
        )
    for name, data in model.items():
        if name != chosen and len(data) > _LARGE:
            note(f"{folder / name} ships with the worker, {_mb(len(data))}: if it should not, move it to training/")


def _manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of a model folder, its artifact verified when the folder has it."""
    path = folder / "manifest.json"
    try:
        manifest = Manifest.read(path)
    except ManifestError as error:
        raise Failure(str(error)) from error
    if manifest.name != folder.name:
        raise Failure(f"{path}: name is {manifest.name}, but the folder's is {folder.name}: give them the same")
    if not (folder / "model.py").is_file():
        raise Failure(f"{folder / 'model.py'} is missing: it defines the model's class (see worker/model.py)")
    artifact = manifest.artifact
    # One that is not in the folder has to be in S3. Only the stack's `models` tell, and its validation refuses others.
    # The worker verifies it by the digest that is declared here, unless the variable names another.
    if artifact is not None and (folder / artifact.file).is_file():
        content = (folder / artifact.file).read_bytes()
        for key, declared, actual in (
            ("bytes", artifact.bytes, len(content)),
            ("sha256", artifact.sha256, hashlib.sha256(content).hexdigest()),
        ):
            if declared != actual:
                where = f"{path}: artifacts.{manifest.runtime}.{key}"
                raise Failure(f"{where} is {declared}, but that of {artifact.file} is {actual}")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def _validator(folder: Path, manifest: Mapping[str, Any]) -> str:
    """The input schema's validator. The output schema's is made too, and thrown away: to see that it is one."""
    rendered = {}
    for name in ("input_schema", "output_schema"):
        try:
            rendered[name] = render_validator(manifest[name])
        except SchemaError as error:
            raise Failure(f"{folder / 'manifest.json'}: {name}: {error}") from error
    return rendered["input_schema"]


def _validators(models: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]) -> Files:
    files = {
        f"validators/{module_name(source)}.py": _validator(folder, manifests[source]).encode()
        for source, folder in models.items()
    }
    return files | {"validators/__init__.py": b"", "validators/_errors.py": ERRORS_MODULE.encode()}


def _files(folder: Path, prefix: str) -> Files:
    """All files under a folder that ship."""
    if not folder.is_dir():
        raise Failure(f"{folder} is missing: this checkout is not whole")
    return {
        prefix + path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and _ships(path.relative_to(folder))
    }


def _ships(path: Path) -> bool:
    if any(part.startswith(".") or part in _LEFT_OUT_FOLDERS for part in path.parts):
        return False
    return path.suffix not in _LEFT_OUT_SUFFIXES


def _zip(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3  # Unix, wherever this runs: the mode below counts
            info.external_attr = (0o100000 | _MODE) << 16
            archive.writestr(info, files[name])
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> bool:
    """Replace the file unless it has these bytes already; atomically, for a plan may be reading it."""
    if path.is_file() and path.read_bytes() == data:
        return False
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)
    return True


def _mb(size: int) -> str:
    return f"{size / 2**20:.2f} MB"


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="package", description="Make the zips that Lambda runs.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the zips (default: build/packages)")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], help="holds more model folders")
    parser.add_argument("--only", action="append", help="package only this model folder")
    parser.add_argument("--env", default=LOCAL, help="what the zips are for: local (default), dev or prod")
    args = parser.parse_args()
    packages = build(args.out, [MODELS, *args.models_dir], args.only, python=python_of(args.env))
    for path in packages:
        data = path.read_bytes()
        state = "written" if path in packages.changed else "unchanged"
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        print(f"{shown}  {_mb(len(data))}  sha256 {hashlib.sha256(data).hexdigest()[:16]}  {state}")
        with zipfile.ZipFile(path) as archive:
            sizes = {name: archive.getinfo(name).file_size for name in archive.namelist()}
        large = {name: size for name, size in sizes.items() if size > _SHOWN}
        for name, size in sorted(large.items(), key=lambda item: -item[1]):
            print(f"    {_mb(size)}  {name}")
        print(f"    {_mb(sum(sizes.values()) - sum(large.values()))}  {len(sizes) - len(large)} small files")
    return 0


if __name__ == "__main__":
    run(main)
