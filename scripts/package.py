"""Make the zips that Lambda runs: the same bytes everywhere, for the same sources and the same release of Python.

    build/packages/lambda.zip           lambda/ + models.json + validators/ (one module per model folder)
    build/packages/worker-<source>.zip  worker/ with that one model folder + inference/ + validators/

What is packaged is what the environment names; other model folders may be half finished. A model that runs from an
image, or has a package of its own, gets no zip. A zip that Lambda would reject is rejected here, except for `local`:
the emulator has no such limit. What ships of a folder: see scripts/model_files.py.

Entries are sorted and stored uncompressed (the output of zlib depends on its version), with one fixed date and
mode. A zip whose bytes are right is left alone.

Beside each source lies its bytecode. The emulator runs functions with the Python that packages: for `local`, that one
compiles. AWS runs them with the stack's runtime: for the other environments a Python of that version does, and where
there is none, the zips have no bytecode.

    python -m scripts.package [--env ENVIRONMENT] [--out DIR]
    python -m scripts.package --models-dir DIR... [--only SOURCE]...        these folders, whatever an environment names
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # started as a file: make the repository importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
from scripts.bytecode import compiled, find_python
from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.environment_config import MODELS, EnvironmentConfig, read_config
from scripts.libraries import REQUIREMENTS, libraries_of
from scripts.model_files import (
    Files,
    by_name,
    files_under,
    find_models,
    megabytes,
    read_manifest,
    validators,
    worker_files,
)
from scripts.model_import import check_import
from scripts.stack_defaults import defaults
from scripts.terraform import LOCAL
from worker.runtimes import PYTHON

OUT = BUILD / "packages"
LIBRARIES_FILE = "libraries.txt"  # see worker/model.py

ZIP_LIMIT = 50 * 2**20
"""Largest zip that Lambda takes directly: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

UNPACKED_LIMIT = 250 * 2**20
"""Largest size of a zip's content, unpacked."""

_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
_SHOWN = 100 * 1024  # from here on the command lists a file by its name


@dataclass(frozen=True)
class Packages:
    """The zips: of lambda/, and of each model folder's worker. `changed` are those just written."""

    lambda_zip: Path
    workers: Mapping[str, Path]
    changed: frozenset[Path]

    def __iter__(self) -> Iterator[Path]:
        yield self.lambda_zip
        yield from self.workers.values()


def build(
    out: Path,
    model_dirs: Sequence[Path],
    sources: Collection[str] | None = None,
    *,
    root: Path = ROOT,
    python: str | None = sys.executable,
) -> Packages:
    """Make the zips of all model folders in some folders, or of those named by `sources`. See `make_zips`."""
    models = find_models(model_dirs, sources)
    workers = {source: worker_files(source, folder, root=root) for source, folder in models.items()}
    return make_zips(out, models, workers, root, python)


def build_for_environment(out: Path, environment: str, config: EnvironmentConfig, *, images: bool = False) -> Packages:
    """Make the zips that an environment's functions run from.

    Args:
        out: folder of the zips.
        environment: local, dev or prod.
        config: what it names.
        images: all workers run from images, which are built elsewhere.

    Raises:
        CommandError: see `make_zips`; or a model can't be imported, or Lambda would reject its zip, or the environment
            names an artifact that the manifest doesn't.
    """
    models = by_name(config.folders)
    for model in config.models.values():
        if model.artifact and not model.own_package and not read_manifest(model.folder).get("artifacts"):
            raise CommandError(
                f"{environment} takes the artifact of {model.name} from {model.artifact}, but "
                f"{model.folder}/manifest.json names none: declare it in artifacts.python (file, sha256, bytes), "
                "or remove artifact from `models`"
            )
    zipped = {
        model.folder.name: model.folder
        for model in config.models.values()
        if not (images or model.own_package or model.image)
    }
    workers: dict[str, Files] = {}
    for source, folder in sorted(zipped.items()):
        files = worker_files(source, folder, in_s3=folder in config.in_s3)
        check_size(source, files, environment)
        libraries = libraries_of(folder)
        if libraries is not None and environment == LOCAL:
            files[f"worker/models/{source}/{LIBRARIES_FILE}"] = f"{libraries}\n".encode()
        if environment != LOCAL and _needs_libraries(folder):
            note(
                f"the zip of {source} has no libraries (NumPy, its runtime's, those of its {REQUIREMENTS}): "
                f"on AWS run it from an image (`make deploy ENV={environment}` builds it)"
            )
        check_import(folder, libraries)
        workers[source] = files
    for folder in models.values():
        if folder.name not in zipped and not (folder / REQUIREMENTS).is_file():
            check_import(folder, None)  # one with libraries of its own is imported in its image
    return make_zips(out, models, workers, ROOT, python_of(environment))


def make_zips(
    out: Path, models: Mapping[str, Path], workers: Mapping[str, Files], root: Path, python: str | None
) -> Packages:
    """Make the zips in `out`.

    Args:
        out: folder of the zips.
        models: all model folders that the API knows.
        workers: what the worker of a model folder consists of; those without have no zip.
        root: the repository.
        python: path of the Python that compiles; None leaves the bytecode out.

    Raises:
        CommandError: a manifest, an artifact, a schema or a source is wrong; it names the file and the key or line.
    """
    manifests = {source: read_manifest(folder) for source, folder in models.items()}
    catalog = {source: {"version": m["version"], "manifest": m} for source, m in manifests.items()}
    api = files_under(root / "lambda", "")
    api.pop("openapi.json", None)  # no function reads it, and a reworded description is no new deployment
    api["models.json"] = (json.dumps(catalog, indent=1, sort_keys=True) + "\n").encode()
    api |= validators(models, manifests)
    paths = {source: out / f"worker-{source}.zip" for source in workers}
    zips = {out / "lambda.zip": api} | {paths[source]: files for source, files in workers.items()}
    if python:
        zips = {path: files | compiled(files, python) for path, files in zips.items()}
    out.mkdir(parents=True, exist_ok=True)
    changed = frozenset(path for path, files in zips.items() if _write(path, _zip(files)))
    return Packages(out / "lambda.zip", paths, changed)


def check_size(source: str, files: Files, environment: str) -> None:
    """Raise CommandError where Lambda would reject the zip; for `local` say so, since the emulator takes it.

    What is stored is not compressed: the zip is at least as large as what is in it.
    """
    size = sum(map(len, files.values()))
    if size <= ZIP_LIMIT:
        return
    also = f", and content of more than {UNPACKED_LIMIT // 2**20} MB in any way" if size > UNPACKED_LIMIT else ""
    problem = (
        f"the worker's zip of {source} has {megabytes(size)}; Lambda rejects a zip of more than "
        f"{ZIP_LIMIT // 2**20} MB{also}"
    )
    remedy = (
        "deploy it as an image (`make deploy` does: up to 10 GB), or put the artifact into S3 and set "
        f'{source} = {{ artifact = "s3://bucket/key" }} in `models`'
    )
    if environment != LOCAL:
        raise CommandError(f"{problem}: {remedy}")
    note(f"{problem}. The emulator takes it. On AWS {remedy}")


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
    """The minor version of Python that AWS runs zips with, as the stack says."""
    return str(defaults("zip")["runtime"]).removeprefix("python")


def _needs_libraries(folder: Path) -> bool:
    return read_manifest(folder)["runtime"] != PYTHON or (folder / REQUIREMENTS).is_file()


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


def show(packages: Packages) -> None:
    """Print what each zip holds."""
    for path in packages:
        data = path.read_bytes()
        state = "written" if path in packages.changed else "unchanged"
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        print(f"{shown}  {megabytes(len(data))}  sha256 {hashlib.sha256(data).hexdigest()[:16]}  {state}")
        with zipfile.ZipFile(path) as archive:
            sizes = {name: archive.getinfo(name).file_size for name in archive.namelist()}
        large = {name: size for name, size in sizes.items() if size > _SHOWN}
        for name, size in sorted(large.items(), key=lambda item: -item[1]):
            print(f"    {megabytes(size)}  {name}")
        print(f"    {megabytes(sum(sizes.values()) - sum(large.values()))}  {len(sizes) - len(large)} small files")


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="package", description="Make the zips that Lambda runs.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the zips (default: build/packages)")
    parser.add_argument("--env", default=LOCAL, help="what the zips are for: local (default), dev or prod")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], help="package what this folder holds")
    parser.add_argument("--only", action="append", help="package only this model folder")
    args = parser.parse_args()
    if args.models_dir or args.only:
        packages = build(args.out, args.models_dir or [MODELS], args.only, python=python_of(args.env))
    else:
        packages = build_for_environment(args.out, args.env, read_config(args.env))
    show(packages)
    return 0


if __name__ == "__main__":
    run(main)
