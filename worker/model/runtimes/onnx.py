"""Run an ONNX model with ONNX Runtime on the CPU, or on CUDA where that is asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import onnxruntime

from worker.model.runtimes.onnx_graph import graph_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

ERRORS_ONLY = 3
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Onnx:
    """An ONNX Runtime session; a `worker.model.runtimes.Runtime`.

    Attributes:
        providers: what executes it, the preferred first.
    """

    def __init__(self, path: Path, *, threads: int, gpu: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Batches differ in shape: a memory plan for each shape would grow and rarely be reused.
        options.enable_mem_pattern = False
        # Threads that spin after a pass use the vCPU that the calls to AWS need, and Lambda bills that time.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = ERRORS_ONLY  # its warnings about the host's hardware mean nothing in Lambda
        on_cuda = gpu and CUDA in onnxruntime.get_available_providers()
        if on_cuda:
            onnxruntime.preload_dlls()  # CUDA's libraries, where they came from the package index
        self._session = _session(path, options, [CUDA, CPU] if on_cuda else [CPU])
        self.providers: list[str] = self._session.get_providers()

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """`feeds` go in by name."""
        outputs: list[np.ndarray] = self._session.run(None, dict(feeds))
        return outputs


def _session(path: Path, options: onnxruntime.SessionOptions, providers: list[str]) -> onnxruntime.InferenceSession:
    graph = graph_of(path)
    if graph is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
        # A model may bring its own version of ONNX Runtime. One that does not know this setting opens the file as it
        # is; so does any other, for an error that names the file.
        with suppress(Exception):
            return onnxruntime.InferenceSession(graph, options, providers=providers)
    return onnxruntime.InferenceSession(str(path), options, providers=providers)
