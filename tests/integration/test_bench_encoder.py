"""The encoder's part of the bench from end to end, with an encoder of two numbers and a tokenizer that counts letters:
our worker, the floor and the reference worker as the processes that they are. Other servers are not started."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import onnx
import pytest
import torch
from rich.console import Console

from scripts.bench import celery_bench, encoder_bench, encoder_model, http_servers, report, show, traffic
from scripts.bench.encoder_model import EAGER, FORMATS, TOKENIZER, Exported
from scripts.bench.plan import QUICK
from scripts.bench.processes import FakeAws, as_helper
from scripts.bench.sections import OTHER, RUN
from scripts.bench.sections import TOKENIZER as TOKENIZER_SECTION
from scripts.console import CommandError
from scripts.model_tools.export_formats import quiet

GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (int64[n, l] input_ids, int64[n, l] attention_mask) => (float[n, 2] vectors) {
    ids = Cast<to = 1>(input_ids)
    mask = Cast<to = 1>(attention_mask)
    axes = Constant<value_ints = [1]>()
    total = ReduceSum(ids, axes)
    count = ReduceSum(mask, axes)
    vectors = Concat<axis = 1>(total, count)
}
"""
LIBRARY = """
class Tokenizer:
    @classmethod
    def from_file(cls, path):
        open(path).close()
        return cls()

    def no_padding(self): ...
    def enable_truncation(self, limit): ...

    def encode(self, text):
        return type("Encoding", (), {"ids": [len(word) for word in text.split()]})
"""


class Tiny(torch.nn.Module):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return torch.stack([input_ids.sum(1), attention_mask.sum(1)], 1).float()


def vectors_of(texts: list[str]) -> np.ndarray:
    return np.array([[sum(map(len, text.split())), len(text.split())] for text in texts], dtype=np.float32)


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """What an export would give, of the tiny model; the model folder is the real one."""
    monkeypatch.setattr(encoder_model, "WORK", tmp_path / "work")
    files, libraries = tmp_path / "files", tmp_path / "libraries"
    (files / encoder_model.NAME).mkdir(parents=True)
    libraries.mkdir()
    (libraries / "tokenizers.py").write_text(LIBRARY)
    source = Path(encoder_model.__file__).with_name(encoder_model.NAME)
    for name in ("model.py", "manifest.json"):
        (files / encoder_model.NAME / name).write_bytes((source / name).read_bytes())
    (files / encoder_model.NAME / TOKENIZER).write_text("{}")
    for label in ("onnx", "onnx-int8"):
        onnx.save(onnx.parser.parse_model(GRAPH), files / FORMATS[label])
    with quiet():
        torch.jit.save(torch.jit.script(Tiny()), str(files / FORMATS["torchscript"]))
    texts = traffic.passages(encoder_model.CHECKED_TEXTS, encoder_model.CHECKED_SEED)
    np.save(files / EAGER, vectors_of(texts))
    return Exported(files, libraries)


def test_the_part_measures_ours_the_floor_and_the_reference(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: Any) -> Any:
        raise CommandError("not in this test")

    functions: dict[str, dict[str, Any]] = {}

    def no_starts(part: str, found: Any, event: Any, *_: Any) -> dict[str, Any]:
        functions.update({function.name: event(function, 1) for function in found})
        return {}

    monkeypatch.setattr(encoder_model, "export", lambda say: exported)
    monkeypatch.setattr(celery_bench, "running", absent)
    monkeypatch.setattr(http_servers, "running", absent)
    monkeypatch.setattr(encoder_bench, "measured_starts", no_starts)
    with as_helper(), FakeAws(tls=False) as fake_aws:
        part = encoder_bench.measure(QUICK, fake_aws, lambda text: None)

    lines = {(line["name"], line["batch"]): line for line in part["contestants"]}
    ours = [(name, batch) for name in ("fp32", "INT8", "fp32, no size declared") for batch in (1, 10, 25)]
    ours.remove(("fp32, no size declared", 1))
    assert set(lines) == {*ours, ("floor, fp32", 10), ("floor, INT8", 10), ("reference", 1)}
    assert all(line["cpu_ms"]["median"] > 0 for line in lines.values())
    assert lines["fp32", 10]["calls_per_request"] == pytest.approx(0.3)
    assert lines["reference", 1]["calls_per_request"] == 1
    assert lines["floor, fp32", 10]["cpu_ms"]["median"] < lines["fp32", 10]["cpu_ms"]["median"]
    assert {found["texts"] for found in part["agreement"].values()} == {encoder_model.CHECKED_TEXTS}
    assert set(part["agreement"]) == {"fp32", "INT8", "fp32, no size declared", "reference"}
    assert min(found["least_cosine"] for found in part["agreement"].values()) > 0.9999
    for name in ("fp32", "INT8"):
        overhead = part["overhead"][name]
        assert overhead["percent"]["median"] > 0
        assert {RUN, TOKENIZER_SECTION, OTHER, "claim: DynamoDB", "finish: DynamoDB"} <= overhead["sections_ms"].keys()
        assert min(overhead["sections_ms"].values()) >= 0
    assert set(part["skipped"]) == {
        "Celery + Redis",
        "Mosec, batch 1",
        "Mosec, batch 10",
        "LitServe, batch 10",
        "BentoML, batch 10",
    }
    assert {name: set(json.loads(event["Records"][0]["body"])) >= {"payload"} for name, event in functions.items()} == {
        "fp32": False,
        "INT8": False,
        "reference": True,
    }

    console = Console(record=True, width=140, file=io.StringIO())
    report.show({"encoder": part, "failed": {}, "measured": {}, "load": ""}, ["encoder"], console)
    shown = console.export_text()
    assert "fp32, no size declared" in shown
    assert "skipped: Celery + Redis: not in this test" in shown
    reached = {target.promise: target for target in show.targets({"encoder": part})}
    assert reached["encoder, fp32: 1 - least cosine"].passed
    assert reached["encoder, fp32: INIT / reference's"].passed is None


def test_another_server_that_fails_is_left_out_and_ours_is_not() -> None:
    failing = Mock(batch=10, run=Mock(side_effect=CommandError("timeout")))
    failing.name = "Mosec"
    skipped: dict[str, str] = {}
    found = encoder_bench._rounds([failing], QUICK, lambda text: None, skipped)
    assert (found, skipped) == ({("Mosec", 10): []}, {"Mosec, batch 10": "timeout"})
    floor = encoder_bench.Floor("floor", Mock(request=Mock(side_effect=CommandError("it ended"))))
    with pytest.raises(CommandError, match="it ended"):
        encoder_bench._rounds([floor], QUICK, lambda text: None, {})


def test_a_contestant_with_other_vectors_is_no_comparison(exported: Exported) -> None:
    other = Mock(batch=1, predict=lambda texts: [{"embedding": [number, 1.0]} for number in range(len(texts))])
    other.name = "other"
    with pytest.raises(CommandError, match="the vectors of other are not the module's"):
        encoder_bench._agreements([other], np.load(exported.files / EAGER))
