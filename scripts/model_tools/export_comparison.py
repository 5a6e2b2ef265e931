"""Compares exported artifacts with the module: outputs, accuracy, time and memory."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastjsonschema
import numpy as np
import torch

from scripts.console import ROOT, CommandError
from scripts.model_tools.export_formats import FORMATS, Recorder
from scripts.packaging.validators import SchemaError, render_validator
from worker.model import Model
from worker.model.errors import ModelError
from worker.model.loaded import LoadedModel, model_class
from worker.model.manifest import Manifest
from worker.model.runtimes import PYTHON, open_runtime

TOLERANCE = 1e-4
"""Largest allowed difference of a float output: runtimes add in different orders. INT8 may differ by more."""

SIZES = (1, 10)  # inputs per pass in the latency columns
STARTS = 3

HeldOut = Sequence[tuple[dict[str, Any], Mapping[str, Any]]]


@dataclass(frozen=True)
class Candidate:
    """A model folder to export: its class, its manifest, the two functions of its export.py, and the agreement that it
    states (None: it states none)."""

    folder: Path
    manifest: Manifest
    kind: type[Model]
    module: Callable[[], Any]
    held_out: Callable[[Path | None], HeldOut]
    agreement: object = None

    @classmethod
    def read(cls, folder: Path) -> "Candidate":
        path = folder / "export.py"
        if not path.is_file():
            raise CommandError(
                f"{path} is missing: it says what to export (see the top of scripts/model_tools/export_model.py)"
            )
        try:
            # The artifacts are made here: the manifest need not have them yet.
            declared = json.loads((folder / "manifest.json").read_text(encoding="utf-8")) | {"runtime": PYTHON}
            declared.pop("artifacts", None)
            manifest = Manifest.parse(declared, where=str(folder / "manifest.json"))
            kind = model_class(folder)
            # In model.py's package, so that `from .net import Net` works here too.
            export = importlib.import_module(f"{kind.__module__.rpartition('.')[0]}.export")
        except (ModelError, ImportError) as error:
            raise CommandError(f"{folder}: {error}" if isinstance(error, ImportError) else str(error)) from error
        for name in ("module", "held_out"):
            if not callable(getattr(export, name, None)):
                raise CommandError(f"{path}: defines no function {name}()")
        return cls(folder, manifest, kind, export.module, export.held_out, getattr(export, "AGREEMENT", None))

    def trained(self) -> torch.nn.Module:
        """The module, which must be in eval mode: dropout and similar layers are active in training mode."""
        module = self.module()
        if not isinstance(module, torch.nn.Module):
            raise CommandError(
                f"{self.folder / 'export.py'}: module() returns a {type(module).__name__}, not a torch.nn.Module"
            )
        if any(part.training for part in module.modules()):
            raise CommandError(f"{self.folder / 'export.py'}: module() is in training mode: return module.eval()")
        return module

    def check(self, inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The inputs with the schema's defaults filled in, as the worker does. Raises CommandError."""
        try:
            render_validator(self.manifest.input_schema)
        except SchemaError as error:
            raise CommandError(f"{self.folder / 'manifest.json'}: input_schema: {error}") from error
        check = fastjsonschema.compile(self.manifest.input_schema)
        found = []
        for number, item in enumerate(inputs):
            try:
                found.append(check(item))
            except fastjsonschema.JsonSchemaValueException as error:
                raise CommandError(f"{self.folder / 'export.py'}: input {number} of held_out(): {error}") from error
        return found

    def predict(self, runtime: Any, inputs: Sequence[dict[str, Any]]) -> list[Any]:
        """The outputs for all inputs, in batches of the manifest's size."""
        loaded = LoadedModel(self.manifest, self.kind(runtime, self.manifest))
        size = self.manifest.batch_size
        outputs: list[Any] = []
        for start in range(0, len(inputs), size):
            outputs += loaded.predict(list(inputs[start : start + size]))
        if errors := [output for output in outputs if isinstance(output, Exception)]:
            raise CommandError(f"{self.folder.name}: held_out() has an input without an output: {errors[0]}")
        return outputs


@dataclass(frozen=True)
class Measured:
    """Measurements of an exported artifact, and its differences from the module; `cosine` is the least one of a row."""

    label: str
    path: Path
    costs: Mapping[str, float]
    difference: float
    cosine: float
    other_answers: int
    accuracy: float


@dataclass(frozen=True)
class Comparison:
    """The module's outputs for all held-out inputs, with which each format is compared."""

    candidate: Candidate
    recorder: Recorder
    inputs: Sequence[dict[str, Any]]
    expected: Sequence[Mapping[str, Any]]
    outputs: Sequence[Any]

    @classmethod
    def of(cls, candidate: Candidate, module: Any, corpus: Path | None) -> "Comparison":
        held_out = candidate.held_out(corpus)
        if len(held_out) <= max(SIZES):
            counts = f"{len(held_out)} inputs; more than {max(SIZES)} are needed"
            raise CommandError(f"{candidate.folder / 'export.py'}: held_out() returns {counts}")
        inputs = candidate.check([item for item, _ in held_out])
        recorder = Recorder(module)
        outputs = candidate.predict(recorder, inputs)
        expected = [wanted for _, wanted in held_out]
        for number, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
            if lacking := sorted(wanted.keys() - output.keys()):
                where = f"{candidate.folder / 'export.py'}: output {number} of held_out()"
                raise CommandError(
                    f"{where} is expected to have {', '.join(lacking)}; it has {', '.join(sorted(output))}"
                )
        return cls(candidate, recorder, inputs, expected, outputs)

    def measure(self, label: str, path: Path, feeds_file: Path) -> Measured:
        """Run the artifact on the module's inputs. Raises CommandError if the outputs differ too much."""
        kind = FORMATS[label].runtime
        runtime = open_runtime(kind, path, threads=1)
        passes = self.recorder.passes
        # numpy's max returns NaN if there is one, and NaN is not <= the limit.
        found = [runtime.run(feeds) for feeds, _ in passes]
        difference = float(np.max([difference_of(one, passes[at][1], path) for at, one in enumerate(found)]))
        allowed = sys.float_info.max if label == "onnx-int8" else TOLERANCE
        if not difference <= allowed:
            raise CommandError(f"{path}: its outputs differ from the module's by {difference:.3g}: do not use it")
        cosine = min(cosine_of(one, passes[at][1]) for at, one in enumerate(found))
        answers = self.candidate.predict(runtime, self.inputs)
        both = zip(answers, self.outputs, self.expected, strict=True)
        other = sum(answer[key] != output[key] for answer, output, wanted in both for key in wanted)
        costs = [probe(kind, path, feeds_file) for _ in range(STARTS)]
        least = {name: min(cost[name] for cost in costs) for name in costs[0]}
        return Measured(label, path, least, difference, cosine, other, accuracy(answers, self.expected))


def difference_of(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], path: Path) -> float:
    """The largest difference of one pass's outputs from the module's. Raises CommandError if type or shape differ."""

    def alike(outputs: Sequence[np.ndarray]) -> list[tuple[str, tuple[int, ...]]]:
        return [(output.dtype.kind, output.shape) for output in outputs]

    if alike(found) != alike(wanted):
        shown = [", ".join(f"{o.dtype} {list(o.shape)}" for o in outputs) or "none" for outputs in (found, wanted)]
        raise CommandError(f"{path}: its outputs are {shown[0]}, but the module's {shown[1]}: do not use it")
    differences = [0.0]
    for one, other in zip(found, wanted, strict=True):
        same = (one == other) | ((one != one) & (other != other))  # also where the module returns NaN or infinity
        with np.errstate(invalid="ignore"):
            distance = np.abs(one.astype(np.float64) - other.astype(np.float64))
        differences.append(float(np.max(np.where(same, 0.0, distance), initial=0.0)))
    return float(np.max(differences))


def cosine_of(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """The least cosine between a row of one pass's outputs and the module's; of one output for an input, such as a
    probability, that of all inputs together. 1 where both are zero; what is not finite is left out."""
    least = 1.0
    for one, other in zip(found, wanted, strict=True):
        rows = [np.nan_to_num(array.astype(np.float64), posinf=0.0, neginf=0.0) for array in (one, other)]
        first, second = (array.reshape(len(array) if array.ndim > 1 else 1, -1) for array in rows)
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        same = (first == second).all(axis=1)
        products = (first * second).sum(axis=1) / np.where(norms == 0, 1.0, norms)
        least = min(least, float(np.min(np.where(same, 1.0, products), initial=1.0)))
    return least


def probe(kind: str, path: Path, feeds_file: Path) -> dict[str, float]:
    """Open the artifact in a process of its own; see `scripts.model_tools.export_probe`."""
    command = [sys.executable, "-m", "scripts.model_tools.export_probe", kind, str(path), str(feeds_file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise CommandError(f"{path}: cannot be run in a process of its own: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def accuracy(outputs: Sequence[Any], expected: Sequence[Mapping[str, Any]]) -> float:
    """The share of outputs that contain what was expected."""
    right = [
        isinstance(output, dict) and wanted.items() <= output.items()
        for output, wanted in zip(outputs, expected, strict=True)
    ]
    return sum(right) / len(right)
