"""Runtimes execute an artifact and are imported only when a manifest asks for them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from worker.runtimes import KINDS, NoRuntime, open_runtime

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


def test_read_only_and_strided_arrays_are_accepted() -> None:
    runtime = open_runtime("torchscript", SENTIMENT, threads=1)
    ids = np.arange(1, 13, dtype=np.int64).reshape(2, 6)
    (expected,) = runtime.run({"ids": np.ascontiguousarray(ids[:, ::2])})
    strided = ids[:, ::2]
    strided.setflags(write=False)
    (output,) = runtime.run({"ids": strided})
    np.testing.assert_array_equal(output, expected)


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'tensorflow' is unknown; use one of torchscript"):
        open_runtime("tensorflow", SENTIMENT, threads=1)


def test_plain_python_has_nothing_to_run() -> None:
    assert "python" in KINDS
    with pytest.raises(RuntimeError, match="no artifact to run"):
        NoRuntime().run({})


def test_loading_warns_of_nothing() -> None:
    """In a process of its own, with torch's own deprecations turned into errors."""
    code = (
        "import warnings; from pathlib import Path; import torch; warnings.simplefilter('error'); "
        "from worker.runtimes import open_runtime; "
        f"open_runtime('torchscript', Path({str(SENTIMENT)!r}), threads=1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=True)


def test_the_artifact_names_no_path_of_the_machine_that_trained_it() -> None:
    content = SENTIMENT.read_bytes()
    assert b".debug_pkl" not in content
    assert b"train_sentiment" not in content
