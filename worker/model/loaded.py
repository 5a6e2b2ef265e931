"""Load a model folder, once, and predict with what it holds.

A model is a folder with `model.py` (one subclass of `Model`), `manifest.json` and an artifact in the folder or in S3.
With the runtime `python` the artifact is optional.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from worker.model.artifact import S3Client, download, packaged, verified
from worker.model.base import Model
from worker.model.bucketing import groups_by_size
from worker.model.errors import ArtifactError, InputError, ModelError, OutputError
from worker.model.manifest import Manifest
from worker.model.passes import LearnedPasses
from worker.model.runtimes import PYTHON, NoRuntime, open_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMORY_MB_PER_VCPU = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to predict.

    `clock` gives the seconds by which it finds out how to run its batches: those of the CPU, or for a model on a GPU,
    whose work the CPU does not see, those that pass.
    """

    manifest: Manifest
    model: Model
    clock: Callable[[], float] = time.process_time
    learned: LearnedPasses = field(default_factory=LearnedPasses)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def batch_size(self) -> int:
        return self.manifest.batch_size

    @property
    def permanent_errors(self) -> tuple[str, ...]:
        return self.manifest.permanent_errors

    @property
    def input_files(self) -> Mapping[str, str]:
        return self.manifest.input_files

    @property
    def output_files(self) -> Mapping[str, str]:
        return self.manifest.output_files

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any] | InputError | OutputError]:
        """Predict a batch: as many outputs as inputs, each a dict, or an error where there is none for this input.

        One forward pass, or a few where inputs differ much in size. Raises OutputError when their number is wrong, and
        whatever the model raises.
        """
        if type(self.model).size is not Model.size:
            sizes = [self.model.size(item) for item in inputs]
            return self._run(inputs, groups_by_size(sizes, self.model.pass_cost))
        passes = self.learned.choose(len(inputs), lambda: [len(json.dumps(item, default=_no_text)) for item in inputs])
        started = self.clock()
        outputs = self._run(inputs, passes.groups)
        self.learned.measured(passes, self.clock() - started)
        return outputs

    def _run(
        self, inputs: list[dict[str, Any]], groups: Sequence[Sequence[int]]
    ) -> list[dict[str, Any] | InputError | OutputError]:
        """Predict the groups, each in one pass; the outputs in the order of the inputs."""
        outputs: dict[int, Any] = {}
        for group in groups:
            returned = self.model.predict([inputs[position] for position in group])
            if not isinstance(returned, Iterable) or isinstance(returned, str | bytes | dict):
                what = "nothing (None)" if returned is None else f"a {type(returned).__name__}"
                expected = "return a list with one dict for each input"
                raise OutputError(f"model {self.name}: predict returned {what}, not a list; {expected}")
            found = list(returned)
            if len(found) != len(group):
                counts = f"{len(found)} outputs for {len(group)} inputs"
                raise OutputError(f"model {self.name}: predict returned {counts}; return one for each, in their order")
            outputs.update(zip(group, found, strict=True))
        return [self._checked(outputs[index]) for index in range(len(inputs))]

    def _checked(self, output: object) -> dict[str, Any] | InputError | OutputError:
        if isinstance(output, dict | InputError):
            return output
        what = f"a {type(output).__name__} for an input, not a dict"
        return OutputError(f'model {self.name}: predict returned {what}; return {{"name": value}} for each')


def _no_text(file: Any) -> str:
    """A file's part of its input's size: its content is no text, and reading it may take long."""
    return ""


def load(
    source_dir: Path,
    *,
    artifact: str | None = None,
    threads: int,
    s3_client: Callable[[], S3Client] | None = None,
    gpu: bool = False,
    is_packaged: bool = False,
) -> LoadedModel:
    """Load the model in `source_dir`, computing on `threads` threads, or with `gpu` on CUDA where this machine has it.

    `artifact` replaces the folder's file: `s3://bucket/key`, verified by the manifest's digest, or
    `s3://bucket/key#sha256=<hex>` by that one. `s3_client` is called only then. The folder's file is verified by the
    manifest's digest, or if the folder `is_packaged`, which was the time of that, by its size. Raises ModelError and
    its kinds.
    """
    # NumPy, which all runtimes import, starts a thread for each CPU that it sees. Lambda shows two where it gives the
    # time of one, and starting the second takes 100 ms of that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))
    manifest = Manifest.read(source_dir / "manifest.json")
    add_libraries(source_dir)
    declared = manifest.artifact
    if declared is None:
        if artifact:
            remedy = "declare it in artifacts.python (file, sha256, bytes), or remove it from the stack's models"
            raise ArtifactError(f"artifact {artifact}: the manifest of {manifest.name} names no artifact; {remedy}")
        return LoadedModel(manifest, model_class(source_dir)(NoRuntime(), manifest))
    if artifact:
        path = download(artifact, declared.sha256, s3_client, suffix=Path(declared.file).suffix)
    elif is_packaged:
        path = packaged(source_dir / declared.file, declared.bytes)
    else:
        path = verified(source_dir / declared.file, declared.sha256)
    if manifest.runtime == PYTHON:
        model = model_class(source_dir)(NoRuntime(), manifest)
        model.load(path)
        return LoadedModel(manifest, model)
    runtime = open_runtime(manifest.runtime, path, threads=threads, gpu=gpu)
    clock = time.perf_counter if gpu else time.process_time
    return LoadedModel(manifest, model_class(source_dir)(runtime, manifest), clock)


def add_libraries(source_dir: Path) -> None:
    """Put the model's own libraries first on the path: the folder that its libraries.txt names.

    Only packages for the emulator have that file: there, libraries are used where they were installed.
    """
    named = source_dir / "libraries.txt"
    if named.is_file():
        libraries = named.read_text(encoding="utf-8").strip()
        if libraries not in sys.path:  # those of a pool's models are one folder
            sys.path.insert(0, libraries)


def threads_for(memory_mb: int) -> int:
    """Threads for a Lambda function of this memory size: its vCPUs rounded up, from 1 to this machine's."""
    return max(1, min(math.ceil(memory_mb / MEMORY_MB_PER_VCPU), os.cpu_count() or 1))


def model_class(source_dir: Path) -> type[Model]:
    """Import `model.py` of a folder anywhere on the disk, and find the model class in it.

    The folder becomes a package of its own, so that `from .tokens import split` works in it.
    """
    folder = source_dir.resolve()
    package = ModuleType(f"_model_{zlib.crc32(str(folder).encode()):08x}")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    module = importlib.import_module(f"{package.__name__}.model")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module.__name__
    ]
    if len(found) > 1:
        found = [value for value in found if value.__name__ == "Model"]
    if len(found) != 1:
        raise ModelError(f"{source_dir}/model.py: must define one subclass of worker.model.Model")
    return found[0]
