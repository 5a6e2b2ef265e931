"""What is exported has every axis that it needs."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from scripts.model_tools.export_formats import FORMATS, Source
from worker.model.runtimes import open_runtime


class Bag(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.EmbeddingBag(100, 4, mode="sum", padding_idx=0)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.embedding(ids).sum(1)


def ids(*shapes: tuple[int, int]) -> list[dict[str, np.ndarray]]:
    return [{"ids": np.arange(math.prod(shape), dtype=np.int64).reshape(shape) % 100} for shape in shapes]


@pytest.mark.parametrize(
    ("shapes", "example"),
    [
        ([(1, 5000), (10, 100), (3, 40)], (10, 100)),  # a long input is alone in its pass
        ([(1, 50), (10, 1), (1, 7)], (2, 50)),
        ([(1, 50), (1, 7)], (1, 50)),
        ([(4, 7), (4, 7)], (4, 7)),
    ],
)
def test_no_dynamic_axis_of_the_example_is_of_length_1(shapes: list[tuple[int, int]], example: tuple[int, int]) -> None:
    assert Source(torch.nn.Identity(), ids(*shapes)).example["ids"].shape == example


@pytest.mark.parametrize("shapes", [[(1, 5000), (10, 100)], [(1, 50), (10, 1)]])
def test_a_long_input_that_is_alone_in_its_pass_leaves_the_batch_dynamic(
    shapes: list[tuple[int, int]], tmp_path: Path
) -> None:
    module = Bag().eval()
    FORMATS["onnx"].write(Source(module, ids(*shapes)), tmp_path / "m.onnx")
    runtime = open_runtime("onnx", tmp_path / "m.onnx", threads=1)
    for arrays in ids(*shapes, (3, 40)):
        with torch.inference_mode():
            wanted = module(torch.from_numpy(arrays["ids"])).numpy()
        np.testing.assert_allclose(runtime.run(arrays)[0], wanted, atol=1e-4)


def test_int8_weights_take_seven_bits(tmp_path: Path) -> None:
    """Where a CPU has VNNI, eight would do, and no output tells; elsewhere their products overflow."""
    feeds = [{"x": np.ones((batch, 8), dtype=np.float32)} for batch in (2, 3)]
    FORMATS["onnx-int8"].write(Source(torch.nn.Linear(8, 4).eval(), feeds), tmp_path / "m.onnx")
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "m.onnx").graph.initializer]
    (weights,) = [array for array in arrays if array.dtype == np.int8 and array.size == 32]
    assert weights.min() >= -64
    assert weights.max() <= 64
