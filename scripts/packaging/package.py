"""Build the zips for Lambda, reproducibly: the same sources and the same Python release give the same bytes.

    build/packages/lambda.zip           lambda/ + manifests/ + validators/ (a file of each model folder)
    build/packages/worker-<source>.zip  worker/ with that one model folder + inference/ + validators/
    build/packages/pool-<pool>.zip      the same with the model folders of all models of a pool
    build/packages/dispatcher.zip       worker/ + inference/ + validators/ and manifests of the models with a `backend`

Only the models of the environment are packaged; other model folders may be unfinished. A model that runs from an image,
at a GPU provider, or has its own package, gets no zip of its own. A zip above Lambda's limits is an error, except for
`local`: the emulator has no such limit. For the packaged files of a model folder see scripts/packaging/model_files.py.

Entries are sorted and stored uncompressed (the output of zlib depends on its version), with a fixed date and mode. An
unchanged zip is not written again.

The zips contain bytecode next to the sources. The emulator runs functions with the Python that runs this command, which
compiles for `local`. AWS runs them with the stack's runtime: for the other environments a Python of that version
compiles, and without one the zips have no bytecode.

    python -m scripts.packaging.package [--env ENVIRONMENT] [--out DIR]
    python -m scripts.packaging.package --models-dir DIR... [--only SOURCE]...        these folders, for any environment
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

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.deployment.environment_config import MODELS, EnvironmentConfig, read_config
from scripts.deployment.terraform import LOCAL
from scripts.packaging.bytecode import compiled, find_python
from scripts.packaging.libraries import REQUIREMENTS, libraries_of
from scripts.packaging.model_files import (
    Files,
    by_name,
    dispatcher_files,
    files_under,
    find_models,
    megabytes,
    read_manifest,
    validators,
    worker_files,
)
from scripts.packaging.model_import import check_import
from scripts.packaging.targets import LAMBDA_SYNC
from scripts.stack_defaults import defaults
from worker.model.runtimes import PYTHON

OUT = BUILD / "packages"
LIBRARIES_FILE = "libraries.txt"  # see worker/model/loaded.py

DISPATCHER = "dispatcher.zip"
"""Among the names of zips, and its file."""

POOL_PREFIX = "pool-"
"""Before the name of a pool, among the names of zips."""

ZIP_LIMIT = 50 * 2**20
"""Largest zip for a direct upload to Lambda: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

UNPACKED_LIMIT = 250 * 2**20
"""Largest size of a zip's content, unpacked."""

_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
_SHOWN = 100 * 1024  # larger files are listed by name


@dataclass(frozen=True)
class Packages:
    """The zips: of lambda/, and of each worker, by the name of its model folder, pool-<pool> or dispatcher.zip.
    `changed` are those just written."""

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
    rooms: Collection[str] = (),
    root: Path = ROOT,
    python: str | None = sys.executable,
) -> Packages:
    """Build the zips of all model folders in some folders, or of those in `sources`. See `make_zips` and
    `worker_files`."""
    models = find_models(model_dirs, sources)
    workers = {source: worker_files(source, folder, rooms=rooms, root=root) for source, folder in models.items()}
    return make_zips(out, models, workers, root, python)


def build_for_environment(out: Path, environment: str, config: EnvironmentConfig, *, images: bool = False) -> Packages:
    """Build the zips of an environment's functions.

    Args:
        out: folder of the zips.
        environment: local, dev or prod.
        config: its configuration.
        images: all workers run from images, which are built by another command.

    Raises:
        CommandError: see `make_zips`; or a model can't be imported, or Lambda would reject its zip, or the environment
            names an artifact that the manifest doesn't.
    """
    models = by_name(config.folders)
    for model in config.models.values():
        if model.artifact and not model.own_package and not read_manifest(model.folder).get("artifacts"):
            raise CommandError(
                f"{environment} sets artifact = {model.artifact} for {model.name}, but {model.folder}/manifest.json "
                "has no artifact: add it to artifacts.python (file, sha256, bytes), or remove artifact from `models`"
            )
    zipped = {
        model.folder.name: model.folder
        for model in config.models.values()
        if not (images or model.pool or model.own_package or model.image)
    }
    of_sync = {model.folder for model in config.models.values() if not model.pool and model.sync}
    workers = {
        source: _zipped(environment, source, [folder], config, sync=folder in of_sync)
        for source, folder in sorted(zipped.items())
    }
    for pool, members in sorted(config.pools.items()):
        if not (images or members[0].own_package or members[0].image):
            folders = sorted({model.folder for model in members})
            workers[f"{POOL_PREFIX}{pool}"] = _zipped(environment, pool, folders, config, sync=members[0].sync)
            zipped |= {folder.name: folder for folder in folders}
    at_providers = {model.folder.name: model.folder for model in config.models.values() if model.backend}
    if at_providers:
        workers[DISPATCHER] = dispatcher_files(at_providers)
    for folder in models.values():
        if folder.name not in {*zipped, *at_providers} and not (folder / REQUIREMENTS).is_file():
            check_import(folder, None)  # a model with its own libraries is imported in its image
    return make_zips(out, models, workers, ROOT, python_of(environment))


def _zipped(environment: str, worker: str, folders: Sequence[Path], config: EnvironmentConfig, *, sync: bool) -> Files:
    """What the zip of a worker of these model folders consists of. Raises as `build_for_environment`."""
    files: Files = {}
    rooms = LAMBDA_SYNC.rooms if sync else ()
    libraries = libraries_of(*folders)
    for folder in folders:
        files |= worker_files(folder.name, folder, in_s3=folder in config.in_s3, rooms=rooms)
        if libraries is not None and environment == LOCAL:
            files[f"worker/models/{folder.name}/{LIBRARIES_FILE}"] = f"{libraries}\n".encode()
        check_import(folder, libraries)
    check_size(worker, files, environment)
    if environment != LOCAL and (sync or any(map(_needs_libraries, folders))):
        note(
            f"the zip of {worker} has no libraries (NumPy, its runtime's, those of a {REQUIREMENTS} or of sync): "
            f"on AWS run it from an image (`make deploy ENV={environment}` builds it)"
        )
    return files


def make_zips(
    out: Path, models: Mapping[str, Path], workers: Mapping[str, Files], root: Path, python: str | None
) -> Packages:
    """Make the zips in `out`.

    Args:
        out: folder of the zips.
        models: all model folders that the API knows.
        workers: what each worker's zip consists of, by the name of its model folder, pool-<pool> or dispatcher.zip.
        root: the repository.
        python: path of the Python that compiles; None: without bytecode.

    Raises:
        CommandError: a manifest, an artifact, a schema or a source is wrong; it names the file and the key or line.
    """
    manifests = {source: read_manifest(folder) for source, folder in models.items()}
    api = files_under(root / "lambda", "")
    api |= {f"manifests/{source}.json": json.dumps(manifest).encode() for source, manifest in manifests.items()}
    api |= validators(models, manifests)
    paths = {name: out / _file_name(name) for name in workers}
    zips = {out / "lambda.zip": api} | {paths[source]: files for source, files in workers.items()}
    if python:
        zips = {path: files | compiled(files, python) for path, files in zips.items()}
    out.mkdir(parents=True, exist_ok=True)
    changed = frozenset(path for path, files in zips.items() if _write(path, _zip(files)))
    return Packages(out / "lambda.zip", paths, changed)


def _file_name(worker: str) -> str:
    if worker == DISPATCHER:
        return DISPATCHER
    return f"{worker}.zip" if worker.startswith(POOL_PREFIX) else f"worker-{worker}.zip"


def check_size(source: str, files: Files, environment: str) -> None:
    """Raise CommandError where Lambda would reject the zip; for `local` say so, since the emulator takes it.

    The zip is not compressed: it is at least as large as its files.
    """
    size = sum(map(len, files.values()))
    if size <= ZIP_LIMIT:
        return
    also = f", and any package of more than {UNPACKED_LIMIT // 2**20} MB unpacked" if size > UNPACKED_LIMIT else ""
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
    """Path of the Python that compiles for an environment; None, after a message, if there is none."""
    if environment == LOCAL:
        return sys.executable
    version = stack_version()
    python = find_python(version)
    if python is None:
        note(f"the zips have no bytecode, so cold starts take longer: put python{version}, which AWS runs, on PATH")
    return python


def stack_version() -> str:
    """The minor version of the Python with which AWS runs the zips, from the stack's defaults."""
    return str(defaults("zip")["runtime"]).removeprefix("python")


def _needs_libraries(folder: Path) -> bool:
    return read_manifest(folder)["runtime"] != PYTHON or (folder / REQUIREMENTS).is_file()


def _zip(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3  # Unix, on every system: then the mode below is used
            info.external_attr = (0o100000 | _MODE) << 16
            archive.writestr(info, files[name])
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> bool:
    """Replace the file unless it has these bytes already; atomically, since a plan may be reading it."""
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
