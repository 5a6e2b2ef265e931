"""An aligned ONNX file is opened without a copy of its weights, and computes the same."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from scripts.model_tools.onnx_alignment import aligned
from worker.model.runtimes import open_runtime
from worker.model.runtimes.onnx_graph import ALIGNMENT, LEAST_BYTES, graph_field, graph_of, is_misaligned, weights

SIZES = (LEAST_BYTES // 4, 300_000, 5, 256, 4_097)
"""Floats of the weights of `_model`: one stays in the graph."""


def _model(sizes: tuple[int, ...] = SIZES, name: str = "weight") -> onnx.ModelProto:
    """x, plus the sum of each weight times that of x: nothing that ONNX Runtime could compute ahead."""
    random = np.random.default_rng(0)
    arrays = [random.normal(size=size).astype(np.float32) for size in sizes]
    tensors = [numpy_helper.from_array(array, f"{name}{index}") for index, array in enumerate(arrays)]
    nodes, last = [helper.make_node("ReduceSum", ["x"], ["all"], keepdims=0)], "x"
    for tensor in tensors:
        nodes.append(helper.make_node("Mul", [tensor.name, "all"], [f"{tensor.name}_times"]))
        nodes.append(helper.make_node("ReduceSum", [f"{tensor.name}_times"], [f"{tensor.name}_sum"], keepdims=0))
        nodes.append(helper.make_node("Add", [last, f"{tensor.name}_sum"], [f"{tensor.name}_added"]))
        last = f"{tensor.name}_added"
    value = [helper.make_tensor_value_info(place, TensorProto.FLOAT, ["n"]) for place in ("x", last)]
    graph = helper.make_graph(nodes, "sums", value[:1], value[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _offsets(content: bytes) -> list[int]:
    return [weight.data.value for weight in weights(content, graph_field(content))]


def _misaligned() -> bytes:
    """The model's content with each weight four bytes beside a multiple of ALIGNMENT."""
    model = _model()
    content = aligned(model)
    model.doc_string += " " * 4
    assert {offset % ALIGNMENT for offset in _offsets(content)} == {0}
    return model.SerializeToString(deterministic=True)


def test_weights_stay_in_the_file_and_compute_the_same(tmp_path: Path) -> None:
    plain = _written(tmp_path / "plain.onnx", _misaligned())
    path = _written(tmp_path / "aligned.onnx", aligned(_model()))
    feeds = {"x": np.array([0.5, -2.0], dtype=np.float32)}
    (wanted,) = open_runtime("onnx", plain, threads=1).run(feeds)
    (found,) = open_runtime("onnx", path, threads=1).run(feeds)
    assert found.tolist() == wanted.tolist()
    assert not np.isclose(wanted, feeds["x"]).any()
    graph = graph_of(path)
    assert graph is not None
    assert len(graph) < 5_000 < LEAST_BYTES * 5 < path.stat().st_size
    model = onnx.load_from_string(graph)
    outside = {tensor.name for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL}
    assert outside == {f"weight{index}" for index, size in enumerate(SIZES) if size * 4 >= LEAST_BYTES}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_file_is_mapped_only_where_it_is_aligned(tmp_path: Path) -> None:
    path = _written(tmp_path / "aligned.onnx", aligned(_model()))
    other = _written(tmp_path / "other.onnx", _misaligned())
    opened = [open_runtime("onnx", each, threads=1) for each in (path, other)]
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    assert (str(path) in maps, str(other) in maps, len(opened)) == (True, False, 2)


def test_a_file_whose_folder_is_not_the_working_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a model").mkdir()
    path = _written(tmp_path / "a model" / "ünïcode.onnx", aligned(_model()))
    monkeypatch.chdir(tmp_path)
    for each in (path, path.relative_to(tmp_path)):
        assert len(open_runtime("onnx", each, threads=1).run({"x": np.zeros(3, dtype=np.float32)})[0]) == 3
    monkeypatch.chdir(path.parent)
    assert len(open_runtime("onnx", Path(path.name), threads=1).run({"x": np.zeros(3, dtype=np.float32)})[0]) == 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40_000), min_size=1, max_size=6),
    st.text(max_size=200),
    st.lists(st.one_of(st.none(), st.text(max_size=140)), min_size=6, max_size=6),
    st.text("abc", min_size=1, max_size=150),
)
def test_alignment_changes_nothing_but_descriptions(
    sizes: list[int], described: str, descriptions: list[str | None], name: str
) -> None:
    model = _model(tuple(sizes), name)
    model.doc_string = described
    for tensor, text in zip(model.graph.initializer, descriptions, strict=False):
        if text is not None:
            tensor.doc_string = text
    before = onnx.ModelProto.FromString(model.SerializeToString())
    content = aligned(model)
    after = onnx.load_from_string(content)
    assert {offset % ALIGNMENT for offset in _offsets(content)} <= {0}
    assert len(_offsets(content)) == sum(size * 4 >= LEAST_BYTES for size in sizes)
    assert not is_misaligned(content)
    assert aligned(after) == content, "what is aligned stays as it is"
    for one, other in ((before, after), *zip(before.graph.initializer, after.graph.initializer, strict=True)):
        assert other.doc_string.rstrip(" ") == one.doc_string.rstrip(" ")
        other.doc_string = one.doc_string
        if not one.HasField("doc_string"):
            other.ClearField("doc_string")
    assert after == before


def test_a_version_that_cannot_map_the_weights_opens_the_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str | bytes] = []
    session = onnxruntime.InferenceSession

    def older(model: str | bytes, *args: object, **options: object) -> object:
        opened.append(model)
        if isinstance(model, bytes):
            raise RuntimeError("external data without a folder")
        return session(model, *args, **options)

    path = _written(tmp_path / "aligned.onnx", aligned(_model()))
    feeds = {"x": np.array([0.5, -2.0], dtype=np.float32)}
    (wanted,) = open_runtime("onnx", path, threads=1).run(feeds)
    monkeypatch.setattr(onnxruntime, "InferenceSession", older)
    (found,) = open_runtime("onnx", path, threads=1).run(feeds)
    assert found.tolist() == wanted.tolist()
    assert opened == [graph_of(path), str(path)]


def test_weights_that_are_in_another_file_already_are_left_there(tmp_path: Path) -> None:
    model = _model()
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    assert graph_of(tmp_path / "m.onnx") is None
    assert len(open_runtime("onnx", tmp_path / "m.onnx", threads=1).run({"x": np.zeros(3, dtype=np.float32)})[0]) == 3


@pytest.mark.parametrize(
    "content", [b"", b"\x3a", b"not ONNX", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x7f", b"\x3b", b"\x3a\x00\x3a\x00"]
)
def test_what_is_no_onnx_is_left_to_the_runtime(content: bytes, tmp_path: Path) -> None:
    path = _written(tmp_path / "m.onnx", content)
    assert graph_of(path) is None
    assert not is_misaligned(content)
    with pytest.raises(Exception, match=r"m\.onnx|[Mm]odel|[Pp]rotobuf"):
        open_runtime("onnx", path, threads=1)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1_300_000), st.integers(0, 255))
def test_a_damaged_file_is_an_error_or_a_model_and_never_another_exception(place: int, byte: int) -> None:
    content = bytearray(_DAMAGED)
    content[place % len(content)] = byte
    del content[max(place, 1) :]
    try:
        found = list(weights(bytes(content), graph_field(bytes(content))))
    except (IndexError, ValueError):
        return
    assert all(0 <= weight.data.value <= weight.data.end <= len(content) for weight in found)


_DAMAGED = aligned(_model())
