"""An exported artifact is rejected unless its outputs are the module's."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scripts.console import CommandError
from scripts.model_tools import export_comparison
from scripts.model_tools.export_comparison import Comparison, Measured

NAN, INF = float("nan"), float("inf")


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Measured]:
    """Judges an artifact that gives `found`, against a module that gave `wanted`, in its second pass of three."""
    costs = {"load_ms": 1.0, "memory_mb": 1.0, "ms_1": 1.0, "ms_10": 1.0}
    monkeypatch.setattr(export_comparison, "probe", lambda *asked: costs)
    right = [floats(0.5)]

    def measured(found: list[np.ndarray], wanted: list[np.ndarray], label: str = "onnx") -> Measured:
        answers = iter([right, found, right])
        runtime = SimpleNamespace(run=lambda feeds: next(answers))
        monkeypatch.setattr(export_comparison, "open_runtime", lambda *asked, **options: runtime)
        recorder: Any = SimpleNamespace(passes=[({}, right), ({}, wanted), ({}, right)])
        candidate: Any = SimpleNamespace(predict=lambda runtime, inputs: [{"a": 1}])
        comparison = Comparison(candidate, recorder, inputs=[{}], expected=[{"a": 1}], outputs=[{"a": 1}])
        return comparison.measure(label, Path("m.onnx"), Path("feeds.npz"))

    return measured


@pytest.mark.parametrize("label", ["onnx", "onnx-int8"])
@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        ([floats(NAN, NAN)], [floats(0, 1)], "differ from the module's by nan"),
        ([floats(0, NAN)], [floats(NAN, 0)], "differ from the module's by nan"),
        ([floats(0, INF)], [floats(0, 1)], "differ from the module's by inf"),
        ([floats(INF)], [floats(-INF)], "differ from the module's by inf"),
        ([floats(0)], [floats(0, 0)], r"are float32 \[1\], but the module's float32 \[2\]"),
        ([floats(0, 0).reshape(2, 1)], [floats(0, 0)], r"are float32 \[2, 1\]"),
        ([np.array([0, 1])], [floats(0, 1)], r"are int64 \[2\]"),
        ([], [floats(0)], "are none, but the module's float32"),
        ([floats(0), floats(0)], [floats(0)], "are float32 .*, float32 .*, but the module's float32"),
    ],
)
def test_outputs_that_are_not_the_modules_are_rejected(
    measure: Callable[..., Measured], found: list[np.ndarray], wanted: list[np.ndarray], message: str, label: str
) -> None:
    with pytest.raises(CommandError, match=rf"m\.onnx: its outputs {message}"):
        measure(found, wanted, label)


def test_a_difference_is_allowed_to_int8_alone(measure: Callable[..., Measured]) -> None:
    assert measure([floats(0.5, 1)], [floats(0.5, 0.75)], "onnx-int8").difference == 0.25
    with pytest.raises(CommandError, match=r"differ from the module's by 0\.25"):
        measure([floats(0.5, 1)], [floats(0.5, 0.75)])


@pytest.mark.parametrize("values", [floats(NAN, 1, INF), floats(), np.array([True, False])])
def test_what_the_module_answers_itself_is_right(measure: Callable[..., Measured], values: np.ndarray) -> None:
    assert measure([values], [values.copy()]).difference == 0
