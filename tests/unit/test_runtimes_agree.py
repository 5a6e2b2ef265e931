"""One module, every runtime, the same answers: for the artifacts that ship, and for fresh ones of every format."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.model_tools.export_comparison import difference_of
from scripts.model_tools.export_formats import FORMATS, Recorder, Source
from worker.model.manifest import Manifest
from worker.model.runtimes import RUNTIMES, open_runtime
from worker.models.sentiment import export
from worker.models.sentiment.model import feature_ids, padded

SENTIMENT = Path(__file__).resolve().parents[2] / "worker" / "models" / "sentiment"
TEXTS = [
    "I love this airline, best crew ever",
    "worst delay of my life, never again",
    "fine",
    " ",
    "😀 " * 400,
    "x" * 999,
]
BATCHES = [TEXTS[:1], TEXTS[2:3], TEXTS[:2], TEXTS, TEXTS[3:4]]
GOLDEN = [0.9728, 0.0012]
"""What the model said of the first two texts on the day it was trained."""

COMPILER = pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="needs a C++ compiler")

Passes = Sequence[tuple[dict[str, np.ndarray], np.ndarray]]


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    return export.module()


@pytest.fixture(scope="module")
def source(module: torch.nn.Module) -> Source:
    return Source(module, [{"ids": padded([feature_ids(text) for text in batch])} for batch in BATCHES])


@pytest.fixture(scope="module")
def passes(source: Source) -> Passes:
    recorder = Recorder(source.module)
    return [(dict(feeds), recorder.run(feeds)[0]) for feeds in source.feeds]


@pytest.fixture(autouse=True)
def inductor_stays_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Its cache would make a second run prove nothing."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    yield


def differs(kind: str, path: Path, passes: Passes) -> float:
    """The greatest difference from the module's own outputs."""
    runtime = open_runtime(kind, path, threads=1)
    return float(np.max([difference_of(runtime.run(feeds), [wanted], path) for feeds, wanted in passes]))


@pytest.mark.parametrize("kind", Manifest.read(SENTIMENT / "manifest.json").artifacts)
def test_what_ships_gives_the_golden_answers(kind: str, passes: Passes) -> None:
    path = SENTIMENT / Manifest.read(SENTIMENT / "manifest.json").artifacts[kind].file
    assert differs(kind, path, passes) < 1e-6
    (output,) = open_runtime(kind, path, threads=1).run(passes[2][0])
    assert [round(float(probability), 4) for probability in output] == GOLDEN


MARKS = {"aotinductor": [pytest.mark.slow, COMPILER]}


@pytest.mark.parametrize("label", [pytest.param(label, marks=MARKS.get(label, ())) for label in FORMATS])
def test_every_format_agrees_with_the_module(label: str, source: Source, passes: Passes, tmp_path: Path) -> None:
    tolerance = 0.05 if "int8" in label else 1e-6
    path = tmp_path / f"sentiment{FORMATS[label].suffix}"
    FORMATS[label].write(source, path)
    assert differs(FORMATS[label].runtime, path, passes) < tolerance
    assert [other.name for other in tmp_path.glob("sentiment*")] == [path.name], "only the artifact is left"


def test_every_runtime_has_a_format() -> None:
    assert {form.runtime for form in FORMATS.values()} == RUNTIMES.keys()


@pytest.mark.parametrize("label", ["onnx", "torchscript"])
def test_an_artifact_comes_out_the_same_and_names_no_path(label: str, source: Source, tmp_path: Path) -> None:
    paths = [tmp_path / "first" / "m", tmp_path / "second" / "m"]
    for path in paths:
        path.parent.mkdir()
        FORMATS[label].write(source, path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    for place in (SENTIMENT.parents[2], sys.prefix, tmp_path):
        assert str(place).encode() not in first


def test_what_differs_among_the_feeds_is_dynamic() -> None:
    feeds = [
        {"ids": np.zeros((batch, length)), "mask": np.zeros((batch, length)), "scale": np.zeros((3,))}
        for batch, length in ((1, 7), (4, 7), (2, 5))
    ]
    source = Source(torch.nn.Identity(), feeds)
    assert source.axes == {"ids": [0, 1], "mask": [0, 1], "scale": []}
    assert source.example["ids"] is feeds[1]["ids"]
