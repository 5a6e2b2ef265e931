"""Runtimes execute an artifact and are imported only when a manifest asks for them."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from worker.model.runtimes import KINDS, RUNTIMES, NoRuntime, open_runtime

ROOT = Path(__file__).resolve().parents[2]
SENTIMENT = ROOT / "worker" / "models" / "sentiment" / "sentiment.pt"


def test_torchscript_runs_the_artifact() -> None:
    runtime = open_runtime("torchscript", SENTIMENT, threads=1)
    ids = np.array([[1, 2, 3], [4, 0, 0]], dtype=np.int64)
    (output,) = runtime.run({"ids": ids})
    assert output.shape == (2,)
    assert output.dtype == np.float32
    assert ((output > 0) & (output < 1)).all()


def test_torchscript_takes_the_thread_count_it_is_given() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        open_runtime("torchscript", SENTIMENT, threads=2)
        assert torch.get_num_threads() == 2
        open_runtime("torchscript", SENTIMENT, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_onnx_runs_the_artifact_and_says_what_it_lacks() -> None:
    runtime = open_runtime("onnx", SENTIMENT.with_suffix(".onnx"), threads=1)
    (output,) = runtime.run({"ids": np.array([[1, 2, 3], [4, 0, 0]], dtype=np.int64)})
    assert (output.shape, output.dtype) == ((2,), np.float32)
    with pytest.raises(Exception, match="ids"):
        runtime.run({"tokens": np.array([[1]], dtype=np.int64)})


@pytest.mark.parametrize(("kind", "suffix"), [("torchscript", ".pt"), ("onnx", ".onnx")])
def test_where_there_is_no_gpu_the_cpu_computes_the_same(kind: str, suffix: str) -> None:
    feeds = {"ids": np.array([[1, 2, 3], [4, 0, 0]], dtype=np.int64)}
    asked = open_runtime(kind, SENTIMENT.with_suffix(suffix), threads=1, gpu=True)
    (wanted,) = open_runtime(kind, SENTIMENT.with_suffix(suffix), threads=1).run(feeds)
    (output,) = asked.run(feeds)
    assert (output == wanted).all()


def test_torchscript_is_on_cuda_only_where_it_is_asked_for_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from worker.model.runtimes.torchscript import TorchScript

    devices: list[str] = []
    load = torch.jit.load

    def loads(path: str, map_location: str) -> torch.jit.ScriptModule:
        devices.append(map_location)
        return load(path, map_location="cpu")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(torch.jit, "load", loads)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert TorchScript(SENTIMENT, threads=1).device == "cpu"
    assert TorchScript(SENTIMENT, threads=1, gpu=True).device == "cuda"
    assert devices == ["cpu", "cuda"]


def test_onnx_is_on_cuda_only_where_it_is_asked_for_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    from worker.model.runtimes.onnx import CPU, CUDA, Onnx

    chosen: list[list[str]] = []

    class Session:
        def __init__(self, path: str, options: object, providers: list[str]) -> None:
            chosen.append(providers)

        def get_providers(self) -> list[str]:
            return chosen[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    path = SENTIMENT.with_suffix(".onnx")
    assert Onnx(path, threads=1).providers == [CPU]
    assert Onnx(path, threads=1, gpu=True).providers == [CUDA, CPU]


@pytest.mark.parametrize(
    ("kind", "suffix", "needed", "spared"),
    [("onnx", ".onnx", "onnxruntime", "torch"), ("torchscript", ".pt", "torch", "onnxruntime")],
)
def test_one_runtime_never_imports_the_other(kind: str, suffix: str, needed: str, spared: str) -> None:
    code = (
        "import sys; from pathlib import Path; from worker.model.runtimes import open_runtime; "
        f"open_runtime({kind!r}, Path({str(SENTIMENT.with_suffix(suffix))!r}), threads=1); "
        "print(sorted({'torch', 'onnxruntime', 'onnx', 'torch._inductor', 'sympy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([needed])
    assert spared not in done.stdout


def test_aotinductor_never_imports_the_compiler_nor_onnxruntime() -> None:
    code = (
        "import sys; import worker.model.runtimes.aotinductor; "
        "print(sorted({'onnxruntime', 'torch._inductor', 'torch._dynamo', 'sympy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "worker.model.runtimes.onnx", raising=False)
    with pytest.raises(ImportError, match=r"runtime 'onnx' cannot be imported here .*onnxruntime.*; install"):
        open_runtime("onnx", SENTIMENT.with_suffix(".onnx"), threads=1)


def test_code_compiled_for_another_cpu_is_rejected_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.model.runtimes.aotinductor import check_cpu

    here = {"AOTI_MACHINE": platform.machine()}
    check_cpu(here, Path("m.pt2"))
    with pytest.raises(ValueError, match=r"m\.pt2: compiled for riscv64, but this machine is"):
        check_cpu({"AOTI_MACHINE": "riscv64"}, Path("m.pt2"))
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True, "fma3": True, "f16c": True, "bmi2": True})
    check_cpu(here | {"AOTI_CPU_ISA": "AVX2"}, Path("m.pt2"))
    with pytest.raises(
        ValueError, match=r"compiled for AVX512, but this CPU has no avx512_f, .*choose the runtime onnx"
    ):
        check_cpu(here | {"AOTI_CPU_ISA": "AVX512 AVX512_VNNI"}, Path("m.pt2"))


def test_read_only_and_strided_arrays_are_accepted() -> None:
    runtime = open_runtime("torchscript", SENTIMENT, threads=1)
    ids = np.arange(1, 13, dtype=np.int64).reshape(2, 6)
    (expected,) = runtime.run({"ids": np.ascontiguousarray(ids[:, ::2])})
    strided = ids[:, ::2]
    strided.setflags(write=False)
    (output,) = runtime.run({"ids": strided})
    np.testing.assert_array_equal(output, expected)


def test_an_unknown_runtime_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"'tensorflow' is unknown; use one of {', '.join(RUNTIMES)}"):
        open_runtime("tensorflow", SENTIMENT, threads=1)


def test_plain_python_has_nothing_to_run() -> None:
    assert "python" in KINDS
    with pytest.raises(RuntimeError, match="nothing to run"):
        NoRuntime().run({})


def test_loading_warns_of_nothing() -> None:
    """In a process of its own, with torch's own deprecations turned into errors."""
    code = (
        "import warnings; from pathlib import Path; import torch; warnings.simplefilter('error'); "
        "from worker.model.runtimes import open_runtime; "
        f"open_runtime('torchscript', Path({str(SENTIMENT)!r}), threads=1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=True)


def test_the_artifact_names_no_path_of_the_machine_that_trained_it() -> None:
    content = SENTIMENT.read_bytes()
    assert b".debug_pkl" not in content
    assert b"train_sentiment" not in content
