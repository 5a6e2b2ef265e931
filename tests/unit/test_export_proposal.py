"""`make export-model` proposes the fastest format that agrees with the module, for a model that ships."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.console import CommandError
from scripts.model_tools import export_comparison, export_model
from scripts.model_tools.export_comparison import Candidate, Measured, cosine_of
from scripts.model_tools.export_formats import FORMATS
from scripts.model_tools.export_model import Exported
from scripts.model_tools.export_proposal import Agreement, fastest, lines
from worker.model.manifest import Manifest

SENTIMENT = Path(__file__).resolve().parents[2] / "worker" / "models" / "sentiment"
TEXTS = {
    "I love this airline, best crew ever": "positive",
    "worst delay of my life, never again": "negative",
    "thank you, what a lovely flight": "positive",
    "my bag is lost and nobody cares": "negative",
}
LOOSE, STRICT = Agreement(0.99, 0.9), Agreement(0.9999999, 0.9)
Costs = Mapping[str, Mapping[str, float]]


def costs(ms: float, load: float = 100.0) -> Mapping[str, float]:
    return {"load_ms": load, "memory_mb": 50.0, "ms_1": ms, "ms_10": ms}


INT8_WINS: Costs = {"onnx": costs(20.0), "onnx-int8": costs(10.0)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[Measured]:
    """The demo model in ONNX, in both precisions, with its real differences; their times are given, not measured."""
    out = tmp_path_factory.mktemp("exported")
    held_out = [
        ({"text": f"{text} {'again ' * more}"}, {"prediction": wanted})
        for text, wanted in TEXTS.items()
        for more in range(4)
    ]
    candidate = dataclasses.replace(Candidate.read(SENTIMENT), held_out=lambda corpus: held_out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            export_comparison,
            "probe",
            lambda kind, path, feeds: INT8_WINS["onnx-int8" if "int8" in path.name else "onnx"],
        )
        patch.setattr(export_model.Candidate, "read", lambda folder: candidate)
        return list(export_model.export(SENTIMENT, ["onnx", "onnx-int8"], None, out).measured)


def with_costs(measured: list[Measured], found: Costs) -> list[Measured]:
    return [dataclasses.replace(one, costs=found[one.label]) for one in measured if one.label in found]


def test_int8_is_proposed_where_it_is_faster_and_agrees(exported: list[Measured]) -> None:
    assert [one.label for one in exported] == ["onnx", "onnx-int8"]
    assert exported[0].cosine > STRICT.cosine > exported[1].cosine > LOOSE.cosine
    proposed = fastest(exported, LOOSE)
    assert proposed is not None
    assert proposed.label == "onnx-int8"


def test_int8_is_not_proposed_where_the_agreement_forbids_it(exported: list[Measured]) -> None:
    proposed = fastest(exported, STRICT)
    assert proposed is not None
    assert proposed.label == "onnx"
    (line, *_) = lines(exported, STRICT, {}, "x86_64")
    assert line.startswith("proposal: onnx for x86-64, 2.100 ms a request, cosine 1, accuracy 1.0000; ")
    assert "onnx-int8 has cosine 0.9" in line


def test_int8_is_not_proposed_where_it_is_not_faster(exported: list[Measured]) -> None:
    alike = with_costs(exported, {"onnx": costs(10.0), "onnx-int8": costs(9.9)})
    assert fastest(alike, LOOSE) is alike[0]


def test_the_accuracy_is_a_part_of_the_agreement(exported: list[Measured]) -> None:
    wrong = [exported[0], dataclasses.replace(exported[1], accuracy=0.8)]
    assert fastest(wrong, LOOSE) is wrong[0]


def test_a_slow_start_has_to_be_worth_it(exported: list[Measured]) -> None:
    """The passes of both are alike, and one loads for a second longer."""
    slow = with_costs(exported, {"onnx": costs(0.02, load=1200.0), "onnx-int8": costs(0.021, load=150.0)})
    assert fastest(slow, LOOSE) is slow[1]


def test_the_lines_say_what_the_manifest_would_have(exported: list[Measured]) -> None:
    manifest = json.loads((SENTIMENT / "manifest.json").read_text(encoding="utf-8"))
    proposal, other, _, *declared = lines(exported, LOOSE, manifest, "x86_64")
    assert proposal.startswith("proposal: onnx-int8 for x86-64, 1.100 ms a request")
    assert "onnx 2.100 ms" in proposal
    assert other.startswith("proposal for arm64, not measured on this x86-64 machine: onnx-int8")
    assert "7 bits" in other
    read = json.loads("{" + "".join(declared[:2]) + "}")
    path = exported[1].path
    assert read["runtime"] == "onnx"
    assert read["artifacts"]["onnx"] == {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
    }
    assert declared[2:] == ["  (beside those for torchscript)"]


def test_machine_code_is_proposed_for_this_architecture_alone(exported: list[Measured]) -> None:
    compiled = dataclasses.replace(exported[0], label="aotinductor", costs=costs(1.0))
    proposal, other, *_ = lines([*exported, compiled], STRICT, {}, "x86_64")
    assert proposal.startswith("proposal: aotinductor for x86-64")
    assert other.startswith("proposal for arm64, not measured on this x86-64 machine: onnx, ")


def test_on_an_arm64_machine_it_is_the_other_one_that_is_not_measured(exported: list[Measured]) -> None:
    proposal, other, *_ = lines(exported, LOOSE, {}, "aarch64")
    assert proposal.startswith("proposal: onnx-int8 for arm64")
    assert other.startswith("proposal for x86-64, not measured on this arm64 machine")


def test_where_nothing_agrees_nothing_is_proposed(exported: list[Measured]) -> None:
    (line,) = lines(exported[1:], STRICT, {}, "x86_64")
    assert line.startswith("proposal: none of ")
    assert "comes nearest" in line


@pytest.fixture
def main(exported: list[Measured], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs the command on a copy of the demo model; returns its folder."""

    def run(*options: str) -> Path:
        folder = tmp_path / "own" / "sentiment"
        shutil.copytree(SENTIMENT, folder, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(export_model, "find_models", lambda *asked: {"sentiment": folder})
        monkeypatch.setattr(export_model, "export", lambda *asked: Exported(exported, LOOSE))
        monkeypatch.setattr("sys.argv", ["export_model", "sentiment", *options])
        export_model.main()
        return folder

    return run


def test_a_proposal_writes_nothing(main: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = main()
    assert (folder / "manifest.json").read_bytes() == (SENTIMENT / "manifest.json").read_bytes()
    assert {path.name for path in folder.iterdir()} == {path.name for path in SENTIMENT.iterdir()} - {"__pycache__"}
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("proposal: ")]
    assert len(found) == 1
    assert "onnx-int8" in found[0]


def test_a_proposal_is_installed_on_demand(main: Callable[..., Path]) -> None:
    manifest = Manifest.read(main("--install", "proposal") / "manifest.json")
    assert manifest.runtime == "onnx"
    assert manifest.artifacts["onnx"].file == "sentiment.int8.onnx"


def test_the_command_line_states_another_agreement(main: Callable[..., Path]) -> None:
    folder = main("--install", "proposal", "--cosine", str(STRICT.cosine))
    assert Manifest.read(folder / "manifest.json").artifacts["onnx"].file == "sentiment.onnx"


def test_where_nothing_agrees_nothing_is_installed(main: Callable[..., Path]) -> None:
    with pytest.raises(CommandError, match="no format keeps to the agreement"):
        main("--install", "proposal", "--cosine", "1")


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("strict", "AGREEMENT must be a dict with cosine, accuracy or both, not 'strict'"),
        ({"cosin": 0.9}, "AGREEMENT must be a dict"),
        ({"cosine": 97}, "cosine must be a number from 0 to 1, not 97"),
        ({"accuracy": "high"}, "accuracy must be a number from 0 to 1, not 'high'"),
        ({"accuracy": True}, "accuracy must be a number"),
    ],
)
def test_an_agreement_that_says_nothing_useful_is_rejected(stated: Any, told: str) -> None:
    with pytest.raises(CommandError, match=rf"export\.py: {told}"):
        Agreement.of(stated, 0.9, "export.py")


def test_what_is_not_stated_is_strict() -> None:
    assert Agreement.of(None, 0.9, "export.py") == Agreement(0.9999, 0.9 - 0.001)
    assert Agreement.of({"cosine": 0.97}, 0.9, "export.py") == Agreement(0.97, 0.9 - 0.001)
    assert Agreement(0.97, 0.9).changed({"cosine": None, "accuracy": 0.5}, "") == Agreement(0.97, 0.5)


@pytest.mark.parametrize(
    ("found", "wanted", "cosine"),
    [
        ([[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 1.0]], 1.0),
        ([[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]], 0.5**0.5),  # the least of the rows
        ([0.5, 0.5], [0.5, 0.0], 0.5**0.5),  # probabilities of two inputs
        ([[0.0, 0.0]], [[0.0, 0.0]], 1.0),
        ([[0.0, 0.0]], [[1.0, 0.0]], 0.0),
        ([[1.0, 0.0]], [[-1.0, 0.0]], -1.0),
    ],
)
def test_the_cosine_of_a_pass_is_the_least_of_its_rows(found: Any, wanted: Any, cosine: float) -> None:
    arrays = [np.array(values, dtype=np.float32) for values in (found, wanted)]
    assert cosine_of([arrays[0]], [arrays[1]]) == pytest.approx(cosine)
    assert cosine_of([], []) == 1.0


def test_only_machine_code_is_not_portable() -> None:
    assert [label for label, format_ in FORMATS.items() if not format_.is_portable] == ["aotinductor"]
