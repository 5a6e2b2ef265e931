"""Run a TorchScript artifact (`torch.jit.save`) with PyTorch on the CPU, or on CUDA where that is asked for."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class TorchScript:
    """A loaded TorchScript module; a `worker.model.runtimes.Runtime`.

    Attributes:
        device: what it computes on.
    """

    def __init__(self, path: Path, *, threads: int, gpu: bool = False) -> None:
        torch.set_num_threads(threads)
        self.device = "cuda" if gpu and torch.cuda.is_available() else "cpu"
        with warnings.catch_warnings():
            # PyTorch deprecates torch.jit at every load; the manifest selects the format on purpose.
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=DeprecationWarning)
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=FutureWarning)
            self._module = torch.jit.load(str(path), map_location=self.device).eval()  # type: ignore[no-untyped-call]

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """`feeds` go in by position, in their order; a single output comes back as a list of one."""
        # The profiling optimiser makes the first two calls 20 times slower and later ones no faster on a CPU.
        with torch.inference_mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            outputs = self._module(*(_tensor(array).to(self.device) for array in feeds.values()))
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        return [output.cpu().numpy() for output in outputs]


def _tensor(array: np.ndarray) -> torch.Tensor:
    """Share the array's memory; copy only where torch could not (read-only or strided input)."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
