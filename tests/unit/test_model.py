"""The model seam: a model folder is loaded, its inputs predicted, and a model author's mistakes named."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.model_folders import ROOT, WORDCOUNT, plain_manifest
from worker.model import InputError, load
from worker.model.errors import ModelError, OutputError
from worker.model.loaded import threads_for

Folder = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a model folder whose class has the given body of `predict`."""

    def make(body: str) -> Path:
        (tmp_path / "manifest.json").write_text(json.dumps(plain_manifest()))
        (tmp_path / "model.py").write_text(
            "from worker.model import InputError, Model\n"
            "class Mine(Model):\n"
            "    def predict(self, inputs):\n"
            f"        {body}\n"
        )
        return tmp_path

    return make


# --- loading


def test_a_plain_python_model_predicts() -> None:
    model = load(WORDCOUNT, threads=1)
    assert (model.name, model.version, model.batch_size) == ("wordcount", "1.0.0", 10)
    assert model.predict([{"text": "two words"}, {"text": ""}]) == [{"words": 2}, {"words": 0}]


def test_loading_a_plain_python_model_imports_no_library() -> None:
    code = (
        "import sys; from pathlib import Path; from worker.model import load; "
        f"load(Path({str(WORDCOUNT)!r}), threads=1); "
        "print(sorted({'torch', 'numpy', 'onnxruntime', 'boto3'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_may_import_its_neighbours(folder: Folder) -> None:
    source = folder("return [{'n': ANSWER}]")
    (source / "tokens.py").write_text("ANSWER = 42\n")
    (source / "model.py").write_text("from .tokens import ANSWER\n" + (source / "model.py").read_text())
    assert load(source, threads=1).predict([{}]) == [{"n": 42}]


@pytest.mark.parametrize("code", ["", "from worker.model import Model", "class A: pass"])
def test_a_folder_without_a_model_class_is_rejected(folder: Folder, code: str) -> None:
    source = folder("return []")
    (source / "model.py").write_text(code)
    with pytest.raises(ModelError, match="must define one subclass"):
        load(source, threads=1)


def test_of_several_classes_the_one_named_model_is_taken(folder: Folder) -> None:
    source = folder("return []")
    classes = "import worker.model as m\nclass Helper(m.Model): pass\nclass {}(Helper): pass\n"
    (source / "model.py").write_text(classes.format("Model"))
    assert type(load(source, threads=1).model).__name__ == "Model"


# --- predicting


def test_an_input_error_keeps_its_place(folder: Folder) -> None:
    body = "return [InputError('no vowels') if i['text'] == 'x' else {'ok': True} for i in inputs]"
    first, second = load(folder(body), threads=1).predict([{"text": "a"}, {"text": "x"}])
    assert first == {"ok": True}
    assert isinstance(second, InputError)
    assert str(second) == "no vowels"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [{}]", "returned 1 outputs for 2 inputs"),
        ("return [{}, {}, {}]", "returned 3 outputs for 2 inputs"),
        ("pass", r"returned nothing \(None\), not a list; return a list with one dict for each input"),
        ("return {'p': 1, 'q': 2}", "returned a dict, not a list"),
    ],
)
def test_what_is_no_list_of_as_many_outputs_is_the_models_fault(folder: Folder, body: str, message: str) -> None:
    with pytest.raises(OutputError, match=f"model wordcount: .*{message}"):
        load(folder(body), threads=1).predict([{}, {}])


def test_an_output_that_is_no_dict_hurts_only_itself(folder: Folder) -> None:
    good, bad = load(folder("return [{}, [1]]"), threads=1).predict([{}, {}])
    assert good == {}
    assert isinstance(bad, OutputError)
    expected = 'predict returned a list for an input, not a dict; return {"name": value} for each'
    assert str(bad) == f"model wordcount: {expected}"


@pytest.mark.parametrize("sizes", [[1, 50, 2, 49], [5, 5, 5], [1]])
def test_inputs_of_like_size_are_predicted_together_and_answered_in_order(folder: Folder, sizes: list[int]) -> None:
    source = folder("self.passes.append(len(inputs)); return [{'n': i['n']} for i in inputs]")
    with (source / "model.py").open("a") as file:
        file.write("    pass_cost = 10\n    passes = []\n    def size(self, item): return item['n']\n")
    model = load(source, threads=1)
    assert model.predict([{"n": size} for size in sizes]) == [{"n": size} for size in sizes]
    assert model.model.passes == ([2, 2] if len(sizes) == 4 else [len(sizes)])  # type: ignore[attr-defined]


class Padding:
    """Source of a model that computes as many cells as its padded batch has."""

    BODY = (
        "longest = max(len(i['text']) for i in inputs); self.cells.append(longest * len(inputs)); "
        "return [{'n': len(i['text'])} for i in inputs]"
    )
    FIELDS = "    cells = []\n"
    NO_SIZE = "    def size(self, item): return None\n"


def _cells(source: Path, fields: str, lengths: list[int]) -> list[int]:
    with (source / "model.py").open("a") as file:
        file.write(fields)
    model = load(source, threads=1)
    assert model.predict([{"text": "x" * length} for length in lengths]) == [{"n": length} for length in lengths]
    return model.model.cells  # type: ignore[attr-defined,no-any-return]


MIXED = [25, 900, 40, 30, 850, 35, 20, 45, 30, 25]


def test_a_model_without_size_has_its_inputs_batched_by_the_length_of_their_json(folder: Folder) -> None:
    cells = _cells(folder(Padding.BODY), Padding.FIELDS, MIXED)
    assert cells == [2 * 900, 8 * 45]  # one pass would be 10 * 900


@pytest.mark.parametrize(
    ("seconds", "passes"),
    [
        (lambda cells: sum(cells) / 1e4, [2, 2, 1, 2, 1, 2]),
        (lambda cells: len(cells) / 1e2, [2, 2, 1, 1, 2, 1]),
        (lambda cells: len(cells) / 1e6, [2, 2, 1, 1, 1, 1]),
    ],
    ids=["it pads", "each pass costs", "it is quick"],
)
def test_batches_are_run_in_the_way_that_took_less_time(
    folder: Folder, seconds: Callable[[list[int]], float], passes: list[int]
) -> None:
    source = folder(Padding.BODY)
    with (source / "model.py").open("a") as file:
        file.write(Padding.FIELDS)
    loaded = load(source, threads=1)
    cells: list[int] = loaded.model.cells  # type: ignore[attr-defined]
    model = dataclasses.replace(loaded, clock=lambda: seconds(cells))
    seen = []
    for _ in passes:
        before = len(cells)
        model.predict([{"text": "x" * length} for length in MIXED])
        seen.append(len(cells) - before)
    assert seen == passes


@pytest.mark.parametrize("lengths", [[20, 35, 25, 60, 3, 1], [500, 700, 950, 600], [5]])
def test_what_is_short_or_alike_stays_in_one_pass(folder: Folder, lengths: list[int]) -> None:
    assert _cells(folder(Padding.BODY), Padding.FIELDS, lengths) == [len(lengths) * max(lengths)]


def test_a_model_may_say_that_size_makes_no_difference(folder: Folder) -> None:
    assert _cells(folder(Padding.BODY), Padding.FIELDS + Padding.NO_SIZE, MIXED) == [len(MIXED) * 900]


# --- threads


@pytest.mark.parametrize(("memory_mb", "threads"), [(128, 1), (1769, 1), (1770, 2), (3538, 2), (10_240, 6)])
def test_threads_follow_the_memory(monkeypatch: pytest.MonkeyPatch, memory_mb: int, threads: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert threads_for(memory_mb) == threads
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert threads_for(memory_mb) == 1
