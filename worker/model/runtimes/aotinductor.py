"""Run an AOTInductor package (.pt2 with compiled code inside) with PyTorch on the CPU.

The package is machine code for one kind of CPU. It is unpacked to the system's temporary folder when it is opened.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODEL_NAME = "model"
"""The name `aoti_compile_and_package` gives a package's only model."""

_NEEDED = {
    "AVX2": ("avx2", "fma3", "f16c", "bmi2"),  # what x86-64-v3 adds
    "AVX512": ("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"),
    "AVX512_VNNI": ("avx512_vnni",),
    "AMX_TILE": ("amx_tile",),
}


class AotInductor:
    """A loaded package; a `worker.model.runtimes.Runtime`.

    Opened by the loader in `torch._C`: `torch._inductor.aoti_load_package` does the same, but imports the compiler,
    which takes longer than everything else.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        torch.set_num_threads(threads)
        loader = torch._C._aoti.AOTIModelPackageLoader
        # Before the code is loaded: an instruction that the CPU lacks would kill the process.
        check_cpu(loader.load_metadata_from_package(str(path), MODEL_NAME), path)  # type: ignore[attr-defined]
        run_single_threaded, runners, device = False, 1, -1
        self._loader = loader(str(path), MODEL_NAME, run_single_threaded, runners, device)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """`feeds` go in by position, in their order."""
        with torch.inference_mode():
            tensors = [torch.from_numpy(np.require(array, requirements=["C", "W"])) for array in feeds.values()]
            return [output.numpy() for output in self._loader.run(tensors)]


def check_cpu(metadata: Mapping[str, str], path: Path) -> None:
    """Raise ValueError if this machine's CPU lacks what the package was compiled for."""
    machine = metadata.get("AOTI_MACHINE", platform.machine())
    if machine != platform.machine():
        raise ValueError(f"{path}: compiled for {machine}, but this machine is {platform.machine()}; export it again")
    features = torch.cpu.get_capabilities()
    for instructions in metadata.get("AOTI_CPU_ISA", "").split():
        lacking = [feature for feature in _NEEDED.get(instructions, ()) if not features.get(feature)]
        if lacking:
            raise ValueError(
                f"{path}: compiled for {instructions}, but this CPU has no {', '.join(lacking)}; "
                "export it for an older CPU, or choose the runtime onnx"
            )
