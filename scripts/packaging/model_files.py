"""The packaged files of a model folder, checked: its manifest, artifact and validator, and the worker's files.

Everything in a model folder is packaged except export.py, requirements.txt, the folders tests/, data/ and training/,
documents and notebooks (*.md, *.ipynb), hidden files, artifacts for other runtimes, the artifact itself if it comes
from S3, and, unless the runtime is `python`, checkpoints (*.pth, *.ckpt), which no other runtime opens.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.console import ROOT, CommandError, note
from scripts.packaging.libraries import REQUIREMENTS
from scripts.packaging.validators import ERRORS_MODULE, SchemaError, module_name, render_validator
from worker.model.errors import ManifestError
from worker.model.manifest import Manifest
from worker.model.places import with_files
from worker.model.runtimes import PYTHON
from worker.model.runtimes.onnx_graph import is_misaligned

Files = dict[str, bytes]
"""Path inside a package -> content."""

_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}")  # a valid name in a manifest
_LEFT_OUT_FOLDERS = {"__pycache__", "tests", "data", "training"}
_LEFT_OUT_SUFFIXES = {".pyc", ".md", ".ipynb"}  # an edited model card must not change the package
_CHECKPOINTS = {".pth", ".ckpt"}
_LARGE = 10 * 2**20  # of a file that is not the artifact: it slows down cold starts, and is often included by mistake
_OF_DISPATCHERS = ("worker/backends/", "worker/dispatch/", "worker/dispatch_handler.py", "worker/callbacks_handler.py")
_NOT_IN_WORKERS = ("worker/models/", *_OF_DISPATCHERS)
_ROOMS = ("providers", "sync")  # of workers that ask for them
_NOT_IN_DISPATCHERS = (
    "worker/models/",
    "worker/providers/",
    "worker/sync/",
    "worker/handler.py",
    "worker/model/runtimes/",
)
_RUNTIME_NAMES = "worker/model/runtimes/__init__.py"  # which a manifest is checked with

DESCRIPTIONS = ("openapi.json", "sync_openapi.json")
"""What the synchronous app describes itself from."""

_EXPORT = "export.py"  # read by scripts/model_tools/export_model.py


def find_models(model_dirs: Sequence[Path], sources: Collection[str] | None) -> dict[str, Path]:
    """Model folders (those with a manifest.json) by name, in the order of their names.

    Args:
        model_dirs: folders that hold model folders.
        sources: only these; if None or empty, all.

    Raises:
        CommandError: a name is invalid, used twice, or missing.
    """
    found: list[Path] = []
    for model_dir in model_dirs:
        if not model_dir.is_dir():
            raise CommandError(f"{model_dir} is not a folder: --models-dir must name a folder with model folders")
        found += [
            path.parent
            for path in sorted(model_dir.glob("*/manifest.json"))
            if not sources or path.parent.name in sources
        ]
    missing = sorted(set(sources or ()) - {folder.name for folder in found})
    if missing:
        raise CommandError(f"no model folder {', '.join(missing)} in {', '.join(map(str, model_dirs))}")
    return by_name(found)


def by_name(folders: Collection[Path]) -> dict[str, Path]:
    """Model folders by name, in the order of their names.

    Raises:
        CommandError: a name is wrong, or two have the same.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not _SOURCE.fullmatch(folder.name):
            raise CommandError(f"{folder}: a model folder's name must match {_SOURCE.pattern}")
        other = found.setdefault(module_name(folder.name), folder)
        if other != folder:
            raise CommandError(f"{folder} and {other} have the same name: rename one of them")
    return {folder.name: folder for folder in sorted(found.values(), key=lambda folder: folder.name)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of a model folder; the artifact is verified if the folder has it.

    Raises:
        CommandError: the manifest or the artifact is wrong, or there is no model.py.
    """
    path = folder / "manifest.json"
    try:
        manifest = Manifest.read(path)
    except ManifestError as error:
        raise CommandError(str(error)) from error
    if manifest.name != folder.name:
        raise CommandError(f"{path}: name is {manifest.name}, but the folder's is {folder.name}: give them the same")
    if not (folder / "model.py").is_file():
        raise CommandError(
            f"{folder / 'model.py'} is missing: it defines the model's class (see worker/model/loaded.py)"
        )
    artifact = manifest.artifact
    # Otherwise it must be in S3: the stack's `models` has its URI, and the stack's validation checks that. The worker
    # verifies it by the digest in the manifest, unless the URI has another.
    if artifact is not None and (folder / artifact.file).is_file():
        content = (folder / artifact.file).read_bytes()
        for key, declared, actual in (
            ("bytes", artifact.bytes, len(content)),
            ("sha256", artifact.sha256, hashlib.sha256(content).hexdigest()),
        ):
            if declared != actual:
                where = f"{path}: artifacts.{manifest.runtime}.{key}"
                raise CommandError(f"{where} is {declared}, but {artifact.file} has {actual}")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def declare_artifact(folder: Path, runtime: str, name: str) -> None:
    """Write the current digest and size of an artifact in a model folder into its manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    content = (folder / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    declared = {"file": name, "sha256": digest, "bytes": len(content)}
    artifacts = manifest.setdefault("artifacts", {})
    if artifacts.get(runtime) != declared:  # do not reformat an unchanged manifest
        artifacts[runtime] = declared
        path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    note(f"{folder / name}: {len(content)} bytes, SHA-256 {digest}")


def worker_files(
    source: str, folder: Path, *, in_s3: bool = False, rooms: Collection[str] = (), root: Path = ROOT
) -> Files:
    """The files of a worker for this model folder: worker/, inference/ and validators/.

    Args:
        source: the folder's name.
        folder: the model folder.
        in_s3: the artifact comes from S3, and is not packaged.
        rooms: folders of worker/ that not every worker has; with `sync` comes what its app describes itself from.
        root: the repository.

    Raises:
        CommandError: a manifest, an artifact or a schema is wrong; it names the file and the key.
    """
    manifest = read_manifest(folder)
    left_out = (*_NOT_IN_WORKERS, *(f"worker/{room}/" for room in _ROOMS if room not in rooms))
    files = {
        name: data
        for name, data in files_under(root / "worker", "worker/").items()
        if name.endswith(".py") and not name.startswith(left_out)
    }
    if "sync" in rooms:
        files |= {name: (root / "lambda" / name).read_bytes() for name in DESCRIPTIONS}
    files |= files_under(root / "lambda" / "inference", "inference/")
    files |= validators({source: folder}, {source: manifest})
    artifacts = manifest.get("artifacts", {})
    chosen = artifacts.get(manifest["runtime"], {}).get("file")
    spare = {_EXPORT, REQUIREMENTS, *(artifact["file"] for artifact in artifacts.values())}
    if not in_s3:
        spare -= {chosen}
    model = {name: data for name, data in files_under(folder, "").items() if name not in spare}
    if manifest["runtime"] != PYTHON:
        model = {n: data for n, data in model.items() if n == chosen or Path(n).suffix not in _CHECKPOINTS}
    _warn(folder, model, None if in_s3 else chosen)
    return files | {f"worker/models/{source}/{name}": data for name, data in model.items()}


def dispatcher_files(folders: Mapping[str, Path], *, root: Path = ROOT) -> Files:
    """The files of the dispatchers and the callbacks function of these model folders: what a worker has, without what
    loads and runs a model; of the models the manifest alone. Raises as `worker_files`."""
    manifests = {source: read_manifest(folder) for source, folder in folders.items()}
    files = {
        name: data
        for name, data in files_under(root / "worker", "worker/").items()
        if name.endswith(".py") and (not name.startswith(_NOT_IN_DISPATCHERS) or name == _RUNTIME_NAMES)
    }
    files |= files_under(root / "lambda" / "inference", "inference/")
    files |= validators(folders, manifests)
    return files | {
        f"worker/models/{source}/manifest.json": (folder / "manifest.json").read_bytes()
        for source, folder in folders.items()
    }


def validators(models: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]) -> Files:
    """The package `validators`: one module for each model folder."""
    files = {
        f"validators/{module_name(source)}.py": _validator(folder, manifests[source]).encode()
        for source, folder in models.items()
    }
    return files | {"validators/__init__.py": b"", "validators/_errors.py": ERRORS_MODULE.encode()}


def write_validators(into: Path, *folders: Path) -> None:
    """Write the package `validators` of model folders, to predict from a checkout: put `into` first on the path, and
    import it as in a package.

    Raises:
        CommandError: a manifest or a schema is wrong.
    """
    models = by_name(folders)
    for name, data in validators(models, {source: read_manifest(folder) for source, folder in models.items()}).items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def files_under(folder: Path, prefix: str) -> Files:
    """All files under a folder that are packaged."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is missing: this checkout is incomplete")
    return {
        prefix + path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and _ships(path.relative_to(folder))
    }


def megabytes(size: int) -> str:
    """A number of bytes as text."""
    return f"{size / 2**20:.2f} MB"


def _ships(path: Path) -> bool:
    if any(part.startswith(".") or part in _LEFT_OUT_FOLDERS for part in path.parts):
        return False
    return path.suffix not in _LEFT_OUT_SUFFIXES


def _validator(folder: Path, manifest: Mapping[str, Any]) -> str:
    """The input schema's validator. The output schema's is only generated to check the schema."""
    rendered = {}
    for name in ("input_schema", "output_schema"):
        try:
            files = manifest.get("input_files", {}) if name == "input_schema" else {}
            rendered[name] = render_validator(with_files(manifest[name], files))
        except SchemaError as error:
            raise CommandError(f"{folder / 'manifest.json'}: {name}: {error}") from error
    return rendered["input_schema"]


def _warn(folder: Path, model: Files, chosen: str | None) -> None:
    if chosen is not None and chosen not in model:
        note(
            f"{folder / chosen} is missing and not in the worker's package: "
            'put it there, or set artifact = "s3://bucket/key" in the stack\'s models'
        )
    if chosen in model and len(model[chosen]) > _LARGE and is_misaligned(model[chosen]):
        note(f"{folder / chosen}: each start copies its weights; `make align-onnx MODEL={folder.name}` spares that")
    for name, data in model.items():
        if name != chosen and len(data) > _LARGE:
            size = megabytes(len(data))
            note(f"{folder / name} is packaged with the worker, {size}: if not needed there, move it to training/")
