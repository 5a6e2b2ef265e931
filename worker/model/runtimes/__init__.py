"""How an artifact is executed. A runtime's interface has NumPy arrays only, so models do not depend on the runtime.

`RUNTIMES` lists all runtimes. An implementation is imported only when a manifest needs it: `import torch` alone is most
of a cold start.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

RUNTIMES = {
    "onnx": "worker.model.runtimes.onnx:Onnx",
    "torchscript": "worker.model.runtimes.torchscript:TorchScript",
    "aotinductor": "worker.model.runtimes.aotinductor:AotInductor",
}
ON_GPU = frozenset({"onnx", "torchscript"})
PYTHON = "python"  # the model is plain Python: nothing to execute; it reads its artifact itself, if it has one
KINDS = (PYTHON, *RUNTIMES)


class Runtime(Protocol):
    """An opened artifact."""

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One forward pass: `feeds` are the artifact's inputs by name, in its own order; so are the outputs."""


class NoRuntime:
    """The runtime object of models whose runtime is `python`: there is nothing to run."""

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        raise RuntimeError("the manifest's runtime is 'python': there is nothing to run")


def open_runtime(kind: str, path: Path, *, threads: int, gpu: bool = False) -> Runtime:
    """Open the artifact at `path` with the runtime `kind`, to compute on `threads` threads; with `gpu`, on CUDA where
    this machine has it and the runtime can. What AOTInductor has compiled for a CPU stays there.

    Raises ValueError for a kind that is not in `RUNTIMES`, ImportError where its library is not installed,
    and whatever the library raises for a file it cannot read.
    """
    if kind not in RUNTIMES:
        raise ValueError(f"runtime {kind!r} is unknown; use one of {', '.join(RUNTIMES)}")
    module, _, name = RUNTIMES[kind].partition(":")
    try:
        implementation = import_module(module)
    except ImportError as error:
        raise ImportError(f"runtime {kind!r} cannot be imported here ({error}); install its library") from error
    options = {"gpu": True} if gpu and kind in ON_GPU else {}
    runtime: Runtime = getattr(implementation, name)(path, threads=threads, **options)
    return runtime
