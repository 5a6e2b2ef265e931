"""A torch module in every format that the worker's runtimes open.

`torch.export` makes one graph of the module; ONNX and AOTInductor are made from that graph, TorchScript from the module
itself. ONNX and TorchScript files contain nothing of the machine and folder where they were made, and are reproducible;
a compiled package is not.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from scripts.console import CommandError

Feeds = Mapping[str, np.ndarray]
"""One forward pass's inputs by name, in the order of the module's arguments."""

CPU = "x86-64-v3"  # every x86 machine that Lambda runs on has it
SIMD_BITS = 256  # of that CPU; the default is this machine's
OPSET = 20


class Recorder:
    """A `worker.model.runtimes.Runtime` that runs the module itself, and records inputs and outputs."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self.passes: list[tuple[Feeds, list[np.ndarray]]] = []

    def run(self, feeds: Feeds) -> list[np.ndarray]:
        with torch.inference_mode():
            found = self._module(*tensors(feeds))
        outputs = [output.numpy() for output in (found if isinstance(found, tuple | list) else [found])]
        self.passes.append((dict(feeds), outputs))
        return outputs


@dataclass(frozen=True)
class Source:
    """What is exported: a module in eval mode, and feeds of different shapes, which show its dynamic axes."""

    module: torch.nn.Module
    feeds: Sequence[Feeds]

    @property
    def example(self) -> Feeds:
        """The largest feeds with dynamic axes longer than 1: torch.export treats an axis of length 1 as constant.

        If there are none, the largest, with such axes repeated.
        """
        axes = self.axes

        def rank(feeds: Feeds) -> tuple[bool, int]:
            lengths = [feeds[name].shape[axis] for name, found in axes.items() for axis in found]
            return all(length > 1 for length in lengths), sum(array.size for array in feeds.values())

        return {name: _longer_than_1(array, axes[name]) for name, array in max(self.feeds, key=rank).items()}

    @property
    def axes(self) -> dict[str, list[int]]:
        """The axes of each input that differ among the feeds."""
        return {
            name: [axis for axis in range(array.ndim) if len({other[name].shape[axis] for other in self.feeds}) > 1]
            for name, array in self.feeds[0].items()
        }

    def exported(self) -> torch.export.ExportedProgram:
        """The module as one graph, all its dynamic axes kept dynamic."""
        dynamic = torch.export.Dim.DYNAMIC
        shapes = tuple(dict.fromkeys(axes, dynamic) for axes in self.axes.values())
        with quiet():
            return torch.export.export(self.module, tuple(tensors(self.example)), dynamic_shapes=shapes)


def _longer_than_1(array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    for axis in axes:
        if array.shape[axis] == 1:
            array = array.repeat(2, axis)
    return array


def tensors(feeds: Feeds) -> list[torch.Tensor]:
    return [torch.from_numpy(np.require(array, requirements=["C", "W"])) for array in feeds.values()]


def to_torchscript(source: Source, path: Path) -> None:
    """Write TorchScript without its debug records, which hold the paths of the machine that made it."""
    raw = path.with_suffix(".raw")
    with quiet():
        try:
            script = torch.jit.script(source.module)
        except Exception:
            # A module that can't be compiled may still be traced; the check of the outputs shows whether that is right.
            script = torch.jit.trace(source.module, tuple(tensors(source.example)))  # type: ignore[no-untyped-call]
        torch.jit.save(script, str(raw))
    reader = torch._C.PyTorchFileReader(str(raw))
    writer = torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl") and name not in ("version", "byteorder", ".data/serialization_id"):
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()  # adds the three records of its own
    raw.unlink()


def to_onnx(source: Source, path: Path) -> None:
    """Write ONNX in one file, with the feeds' names for its inputs, without the exporter's metadata."""
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx.export needs it

        from scripts.model_tools.onnx_alignment import aligned
    except ImportError as error:
        raise CommandError(f"{error.name} is not installed: run `python -m pip install -e '.[export]'`") from error
    with quiet():
        program = torch.onnx.export(
            source.exported(),
            tuple(tensors(source.example)),
            dynamo=True,
            input_names=list(source.example),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for noted in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    model.producer_version = torch.__version__.partition("+")[0]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(aligned(model))


def to_onnx_int8(source: Source, path: Path) -> None:
    """Write ONNX with INT8 weights; activations are quantised while it runs."""
    whole = path.with_suffix(".float")
    to_onnx(source, whole)
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from scripts.model_tools.onnx_alignment import aligned

    with quiet():
        # Seven bits instead of eight: on x86 without VNNI, which Lambda does not promise, products of two 8-bit values
        # overflow, and the outputs are wrong. So the file is right on every CPU, those of arm64 included. A scale for
        # each channel costs no time, and keeps the outputs nearer to the module's.
        quantize_dynamic(whole, path, weight_type=QuantType.QInt8, reduce_range=True, per_channel=True)
    whole.unlink()
    path.write_bytes(aligned(onnx.load(path)))


def to_aotinductor(source: Source, path: Path) -> None:
    """Compile to machine code for `CPU`; needs a C++ compiler."""
    if not any(map(shutil.which, ("g++", "clang++"))):
        raise CommandError("AOTInductor needs a C++ compiler: install g++, or do not export this format")
    import torch._inductor

    options = {"cpp.march": CPU, "cpp.simdlen": SIMD_BITS}
    with quiet():
        torch._inductor.aoti_compile_and_package(source.exported(), package_path=str(path), inductor_configs=options)


@dataclass(frozen=True)
class Format:
    """A way to write a module: the runtime that opens it, the file's suffix, the writer. `is_portable`: the file runs
    on every CPU."""

    runtime: str
    suffix: str
    write: Callable[[Source, Path], None]
    is_portable: bool = True


FORMATS = {
    "onnx": Format("onnx", ".onnx", to_onnx),
    "onnx-int8": Format("onnx", ".int8.onnx", to_onnx_int8),
    "torchscript": Format("torchscript", ".pt", to_torchscript),
    "aotinductor": Format("aotinductor", ".pt2", to_aotinductor, is_portable=False),
}


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the exporters' deprecation warnings and messages on missing packages; errors are raised."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
