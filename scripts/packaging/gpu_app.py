"""Write what one GPU provider needs to run a model folder: the app, its libraries, and the model's files.

    python -m scripts.packaging.gpu_app MODEL --kind cog|runpod|modal|beam [--gpu A10G] [--models-dir DIR] [--out DIR]

    build/gpu/<kind>/<model>/
        app/                  worker/, inference/, validators/, the model folder as in a worker's zip, and the wrappers
        requirements.txt      the runtime, the provider's SDK, the model's own libraries
        cog.yaml predict.py Dockerfile | Dockerfile | modal_app.py | beam_app.py

`--gpu none` writes an app for a CPU: the runtimes' libraries are then those without CUDA.
"""

import argparse
import json
import keyword
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.deployment.environment_config import MODELS
from scripts.packaging.libraries import REQUIREMENTS
from scripts.packaging.model_files import Files, files_under, find_models, read_manifest, worker_files
from worker.model.runtimes import PYTHON

PYTHON_VERSION = "3.12"
"""Of the apps: the newest that all four providers have."""

NO_GPU = "none"
IDLE_SECONDS = 60
"""How long a provider keeps a machine for the next call. Its seconds are billed."""

KINDS = {
    "cog": ("cog.yaml", "predict.py", "Dockerfile"),
    "runpod": ("Dockerfile",),
    "modal": ("modal_app.py",),
    "beam": ("beam_app.py",),
}
"""Kind -> the templates that are filled in for it."""

IMAGES = tuple(kind for kind, templates in KINDS.items() if "Dockerfile" in templates)
STAGE = "app"
"""Of their Dockerfile."""

_TEMPLATES = Path(__file__).parent / "templates"
_PROVIDERS = ROOT / "worker" / "providers"
_GPU = re.compile(r"[A-Z][A-Z0-9-]{1,15}")
_LIBRARIES = {PYTHON: None, "onnx": "onnx", "torchscript": "torch", "aotinductor": "torch"}
_LAMBDA_ONLY = ("awslambdaric", "boto3")
_COG_TYPES: Mapping[Any, str] = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_IN_IMAGE = {
    "cog": {
        "environment": " \\\n    COG_PREDICT_TYPE_STUB=/app/predict.py:Runner \\\n    PORT=5000 COG_MAX_CONCURRENCY="
        "{batch_size}",
        "command": '"python3", "-m", "cog.server.http"',
        "copied": ".",
    },
    "runpod": {"environment": "", "command": '"python3", "-m", "worker.providers.runpod_handler"', "copied": "app/"},
}


def app_files(folder: Path, kind: str, gpu: str) -> Files:
    """The files of an app.

    Args:
        folder: the model folder.
        gpu: its name at the provider, or `none`.

    Raises:
        CommandError: the manifest, the artifact or the schema is wrong, or can't be had at this provider.
    """
    if gpu != NO_GPU and not _GPU.fullmatch(gpu):
        raise CommandError(f"GPU {gpu!r} must be a provider's name of a GPU, such as A10G, or {NO_GPU}")
    manifest = read_manifest(folder)
    runtime, artifact = manifest["runtime"], manifest.get("artifacts", {}).get(manifest["runtime"], {}).get("file")
    if runtime == "aotinductor" and gpu != NO_GPU:
        raise CommandError(f"{folder.name}: its runtime is aotinductor, code for a CPU; choose torchscript or onnx")
    if artifact and not (folder / artifact).is_file():
        raise CommandError(
            f"{folder / artifact} is missing: an app for a provider has its artifact inside; get it first"
        )
    app = worker_files(folder.name, folder) | {
        name: data for name, data in files_under(_PROVIDERS, "worker/providers/").items() if name.endswith(".py")
    }
    filled = {name: _filled(name, _values(folder.name, kind, gpu, manifest)) for name in KINDS[kind]}
    at_root = kind == "cog"  # Cog's own tool has its build's root on the path; an image gets the runner with the rest
    files = {name if at_root else f"app/{name}": data for name, data in app.items()}
    files |= {name: text.encode() for name, text in filled.items()}
    files[REQUIREMENTS] = requirements(folder, kind, runtime, gpu).encode()
    return files


def requirements(folder: Path, kind: str, runtime: str, gpu: str) -> str:
    """The requirements.txt of an app: the pins of a worker's image, with CUDA's builds for a GPU."""
    lines = [_pins("common")]
    if library := _LIBRARIES[runtime]:
        lines.append(_pins(library))
    text = "\n".join(lines)
    kept = [
        line for line in text.splitlines() if line and not line.startswith(("-r", "#", *_LAMBDA_ONLY)) and line.strip()
    ]
    if gpu != NO_GPU:
        kept = [line.replace("+cpu", "").replace("onnxruntime==", "onnxruntime-gpu[cuda,cudnn]==") for line in kept]
    elif any("+cpu" in line for line in kept):
        kept.insert(0, "--extra-index-url https://download.pytorch.org/whl/cpu")
    own = folder / REQUIREMENTS
    sdk = (_PROVIDERS / "requirements" / f"{kind}.txt").read_text(encoding="utf-8")
    return (
        "\n".join([*kept, sdk.strip(), own.read_text(encoding="utf-8").strip() if own.is_file() else ""]).strip() + "\n"
    )


def _pins(name: str) -> str:
    return (ROOT / "worker" / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


def _values(name: str, kind: str, gpu: str, manifest: Mapping[str, Any]) -> dict[str, object]:
    values: dict[str, object] = {
        "name": name,
        "kind": kind,
        "description": re.sub(r'["\\\n]', " ", manifest["description"]),
        "python": PYTHON_VERSION,
        "batch_size": manifest["batch_size"],
        "timeout": manifest["timeout_seconds"],
        "memory": f"{max(manifest['memory_mb'], 1024)}Mi",
        "idle_seconds": IDLE_SECONDS,
        "has_gpu": json.dumps(gpu != NO_GPU),
        "gpu": "None" if gpu == NO_GPU else json.dumps(gpu),
        "beam_gpu": '""' if gpu == NO_GPU else json.dumps(gpu),
    }
    values |= {key: text.format(**values) for key, text in _IN_IMAGE.get(kind, {}).items()}
    if kind == "cog":
        values |= _signature(name, manifest["input_schema"])
    return values


def _signature(model: str, schema: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of the runner's method, and the dictionary that it makes of them."""
    members = schema.get("properties", {})
    if not members:
        raise CommandError(f"{model}: its input_schema has no properties, so Cog can't have its inputs")
    parameters = []
    for name, member in members.items():
        if not name.isidentifier() or keyword.iskeyword(name) or name == "self":
            raise CommandError(f"{model}: Cog can't have the input {name!r}: it must be a name of a Python parameter")
        kind = _COG_TYPES.get(member.get("type"), "Any")
        options = []
        if name not in schema.get("required", ()):
            kind, options = f"Optional[{kind}]", ["default=None"]
        if isinstance(member.get("description"), str):
            options.append(f"description={json.dumps(member['description'])}")
        parameters.append(f"        {name}: {kind} = Input({', '.join(options)}),")
    return {
        "parameters": "\n".join(parameters),
        "inputs": ", ".join(f"{json.dumps(name)}: {name}" for name in members),
    }


def _filled(name: str, values: Mapping[str, object]) -> str:
    return Template((_TEMPLATES / f"{name}.template").read_text(encoding="utf-8")).substitute(values)


def write(folder: Path, kind: str, gpu: str, out: Path) -> Path:
    """Write an app to `out`, which is emptied first; returns it. Raises CommandError."""
    files = app_files(folder, kind, gpu)
    if out.exists():
        shutil.rmtree(out)
    for name, data in sorted(files.items()):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return out


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="gpu_app", description="Write a model folder's app for a GPU provider.")
    parser.add_argument("model", help="the model folder's name")
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--gpu", default="A10G", help=f"its name at the provider, or {NO_GPU} (default: A10G)")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], help="holds more model folders")
    parser.add_argument("--out", type=Path, help="default: build/gpu/KIND/MODEL")
    args = parser.parse_args()
    (folder,) = find_models([MODELS, *args.models_dir], [args.model]).values()
    out = write(folder, args.kind, args.gpu, args.out or BUILD / "gpu" / args.kind / args.model)
    note(f"{args.model} for {args.kind}: see docs/gpu-providers.md for how to deploy it")
    print(out)
    return 0


if __name__ == "__main__":
    run(main)
