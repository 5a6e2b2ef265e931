"""The contestants' packages: made by scripts.packaging.package, unpacked as Lambda unpacks them, with their bytecode.

The demo model is packaged once for every runtime; the manifest of such a variant names that runtime, and the largest
batch that is measured. Machine code (AOTInductor) is compiled here: it is for one kind of CPU and not in git.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.bench import traffic
from scripts.bench.traffic import MODEL
from scripts.console import BUILD, CommandError
from scripts.deployment.environment_config import MODELS
from scripts.packaging import package
from scripts.packaging.bytecode import compiled

WORK = BUILD / "bench" / "work"
REFERENCE_RUNTIME = "torchscript"
COMPILED = "aotinductor"
LARGEST_BATCH = 25
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Packages:
    """Unpacked packages.

    Attributes:
        workers: runtime -> folder of the worker's package.
        default: the runtime that the model's manifest names.
        api: folder of the api function's package.
        api_urllib3: the same with urllib3 instead of its own HTTP client.
        reference: folder with the reference worker and handler; None without a TorchScript artifact.
        artifact: the artifact that the reference worker loads.
        skipped: what could not be made, and why.
    """

    workers: Mapping[str, Path]
    default: str
    api: Path
    api_urllib3: Path
    reference: Path | None
    artifact: Path | None
    skipped: Mapping[str, str] = field(default_factory=dict)


def prepare() -> Packages:
    """Make and unpack all packages in build/bench/work.

    Raises:
        CommandError: not one package can be made.
    """
    source = MODELS / MODEL
    manifest: dict[str, Any] = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    default = str(manifest["runtime"])
    shutil.rmtree(WORK, ignore_errors=True)
    workers: dict[str, Path] = {}
    skipped: dict[str, str] = {}
    api: Path | None = None
    for runtime in {**artifacts(manifest), COMPILED: None}:
        variant = WORK / "models" / runtime
        folder = variant / MODEL
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            changed = _with_artifact(folder, runtime)
        except CommandError as failure:
            skipped[runtime] = str(failure)
            continue
        changed |= {"runtime": runtime, "batch_size": LARGEST_BATCH, "batch_window_seconds": 1}
        (folder / "manifest.json").write_text(json.dumps(changed), encoding="utf-8")
        built = package.build(WORK / "packages" / runtime, [variant], [MODEL])
        workers[runtime] = unpack(built.workers[MODEL], WORK / "workers" / runtime)
        if runtime == default:
            api = unpack(built.lambda_zip, WORK / "api")
    if api is None:
        raise CommandError(f"worker/models/{MODEL} has no artifact for its runtime '{default}': nothing to measure")
    reference = workers.get(REFERENCE_RUNTIME)
    pytorch_artifact: Path | None = None
    if reference is not None:
        pytorch_artifact = reference / "worker" / "models" / MODEL / artifacts(manifest)[REFERENCE_RUNTIME]
        reference = _reference(reference)
    else:
        skipped.setdefault("reference", f"it needs the {REFERENCE_RUNTIME} artifact of the model")
    return Packages(workers, default, api, _with_urllib3(api), reference, pytorch_artifact, skipped)


def artifacts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Runtime -> file name; from `artifacts`, or from the one `artifact` of the manifest's runtime."""
    declared = manifest.get("artifacts") or {manifest["runtime"]: manifest["artifact"]}
    return {runtime: str(artifact["file"]) for runtime, artifact in declared.items()}


def _with_artifact(folder: Path, runtime: str) -> dict[str, Any]:
    """The folder's manifest, with an artifact for this runtime. Raises CommandError where there is none."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if runtime == COMPILED and runtime not in artifacts(manifest):
        compile_model(folder)
        return _with_artifact(folder, runtime)
    file = artifacts(manifest)[runtime]
    if not (folder / file).is_file():
        raise CommandError(f"{file} is not in {folder.name}/: export the model for this runtime")
    return manifest


def compile_model(folder: Path) -> None:
    """Compile the model in this folder to machine code, and put it into folder and manifest.

    Raises:
        CommandError: there is no C++ compiler, or no export.py.
    """
    from scripts.model_tools.export_comparison import SIZES, Candidate
    from scripts.model_tools.export_formats import FORMATS, Source
    from scripts.model_tools.export_model import feeds_of, install

    candidate = Candidate.read(folder)
    module = candidate.trained()
    texts = [{"text": text} for text in traffic.texts(max(SIZES), seed=2)]
    feeds = [feeds_of(candidate, module, candidate.check(texts[:size])) for size in SIZES]
    path = folder / f"{MODEL}{FORMATS[COMPILED].suffix}"
    FORMATS[COMPILED].write(Source(module, feeds), path)
    install(folder, {COMPILED: path})


def _with_urllib3(api: Path) -> Path:
    """The api function's package with urllib3 instead of `inference/aws/wire.py`, compiled as the rest is."""
    folder = WORK / "api-urllib3"
    shutil.copytree(api, folder)
    wire = "inference/aws/wire.py"
    source = (_HERE / "urllib3_wire.py").read_bytes()
    for name, content in {wire: source, **compiled({wire: source})}.items():
        (folder / name).write_bytes(content)
    return folder


def _reference(worker: Path) -> Path:
    """The reference's package: the same code of the model, and the two handlers."""
    folder = WORK / "reference"
    shutil.copytree(worker, folder)
    for name in ("reference_worker.py", "reference_sentiment.py", "reference_enqueue.py"):
        shutil.copy(_HERE / name, folder / name)
    return folder


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip; returns the folder."""
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(folder)
    return folder
