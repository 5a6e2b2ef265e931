"""The encoder's part of the bench: sections of CPU, agreement of vectors, overhead, targets, servers' messages."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scripts.bench import encoder_bench, http_servers, peer_model, report, show, traffic
from scripts.bench.agreement import agreement
from scripts.bench.floor import Floor
from scripts.bench.http_servers import BENTOML, LITSERVE, MOSEC, HttpServer
from scripts.bench.sections import OTHER, PLACES, RUN, TOKENIZER, Sections, owner_of
from scripts.console import ROOT

# Sections


class Clock:
    """CPU seconds that pass only when a function works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


class Thing:
    """The part of a worker that `Sections.of_worker` reads: `module.single.loaded.model`, its runtime, the handler."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.single = self.loaded = self.model = self.runtime = self

    def handler(self) -> str:
        self.clock.work(1)
        self.predict()
        self.clock.work(2)
        return "done"

    def predict(self) -> None:
        self.clock.work(4)
        self.tokens()
        self.run()
        self.clock.work(8)

    def tokens(self) -> None:
        self.clock.work(16)

    def run(self) -> None:
        self.clock.work(32)


def test_each_place_of_the_worker_is_there() -> None:
    for _, module, path in PLACES:
        owner, attribute = owner_of(module, path)
        assert callable(getattr(owner, attribute))


def test_a_section_counts_what_is_not_in_one_inside_it_and_is_gone_afterwards() -> None:
    clock = Clock()
    thing, sections = Thing(clock), Sections(clock)
    clock.work(64)
    with sections.of_worker(thing):
        clock.work(128)
        assert thing.handler() == "done"
    assert sections.seconds == {OTHER: 3, "arrays and lists": 12, TOKENIZER: 16, RUN: 32}
    thing.handler()
    assert sum(sections.seconds.values()) == 63
    assert not {"handler", "run", "tokens", "predict"} & vars(thing).keys()


def test_a_section_ends_when_its_function_raises() -> None:
    clock = Clock()
    sections = Sections(clock)

    def fails() -> None:
        clock.work(1)
        raise ValueError

    def outer() -> None:
        with pytest.raises(ValueError):
            inner()
        clock.work(2)

    inner = sections.wrapped("inner", fails)
    sections.wrapped("outer", outer)()
    assert sections.seconds == {"inner": 1, "outer": 2}


def test_another_threads_calls_are_not_counted_as_a_section() -> None:
    clock = Clock()
    sections = Sections(clock)
    function = sections.wrapped("work", lambda: clock.work(5))
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
    assert sections.seconds == {}


# Agreement


def test_vectors_agree_by_their_direction_and_by_their_neighbours() -> None:
    wanted = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    assert agreement(wanted * 3, wanted) == {
        "least_cosine": pytest.approx(1),
        "mean_cosine": pytest.approx(1),
        "same_neighbour": 1,
        "texts": 4,
    }
    turned = wanted.copy()
    turned[1] = [0.1, 0.9]  # now near the last two, and the first one's neighbour is any of the others
    found = agreement(turned, wanted)
    cosine = (0.9 * 0.1 * 2) / (0.9**2 + 0.1**2)
    assert found["least_cosine"] == pytest.approx(cosine)
    assert found["mean_cosine"] == pytest.approx((3 + cosine) / 4)
    assert found["same_neighbour"] < 1


# Overhead and targets


def test_overhead_is_that_of_the_median_sample() -> None:
    taken = [
        {"cpu_seconds": ours, "floor_cpu_seconds": floor, "sections": sections}
        for ours, floor, sections in ((1.02, 1.0, {RUN: 1.0}), (2.06, 2.0, {RUN: 2.0, "claim": 0.06}), (9.0, 1.0, {}))
    ]
    found = encoder_bench.overhead_of(taken, texts=10)
    assert found["percent"]["median"] == pytest.approx(3)
    assert found["sections_ms"] == {RUN: 100, "claim": 0}


def test_the_floor_is_the_models_bare_work_in_the_workers_passes(encoder: ModuleType) -> None:
    runtime = Length()
    model = encoder.Encoder(runtime, None)
    passes: list[tuple[int, ...]] = []
    run = runtime.run
    runtime.run = lambda feeds: passes.append(feeds["input_ids"].shape) or run(feeds)
    long, short = {"text": "a " * 100}, {"text": "a"}
    taken = Floor(model).run([short, long, short, short, long], batch=4)
    assert sorted(passes) == [(1, 100), (1, 100), (3, 1)]
    assert set(taken) == {"seconds", "cpu_seconds"}


def _spread(value: float) -> dict[str, float]:
    return {"median": value, "q1": value, "q3": value, "count": 1}


def _line(name: str, batch: int, cpu_ms: float) -> dict[str, Any]:
    return {
        "name": name,
        "batch": batch,
        "cpu_ms": _spread(cpu_ms),
        "ms": _spread(cpu_ms),
        "calls_per_request": 0.3,
        "log_bytes_per_request": 100,
        "peak_mb": 100,
    }


def _start(name: str, init_ms: float, memory: float) -> dict[str, Any]:
    fields = {"init_ms": init_ms, "first_result_ms": init_ms, "init_cpu_ms": init_ms}
    return {
        "name": name,
        **{key: _spread(value) for key, value in fields.items()},
        "init_memory_mb": _spread(memory),
        "peak_memory_mb": _spread(memory),
    }


def _part() -> dict[str, Any]:
    agreements = {name: {"mean_cosine": 1.0, "same_neighbour": 1.0, "texts": 9} for name in ("fp32", "INT8")}
    agreements["fp32"]["least_cosine"], agreements["INT8"]["least_cosine"] = 0.99995, 0.96
    return {
        "texts": {"median": 20, "p90": 47, "longest": 90},
        "contestants": [
            _line("fp32", 1, 14.0),
            _line("fp32", 10, 13.0),
            _line("INT8", 10, 9.0),
            _line("fp32, no size declared", 10, 14.0),
            _line("reference", 1, 20.0),
            _line("Celery + Redis", 1, 16.0),
            _line("LitServe", 10, 12.0),
        ],
        "agreement": agreements,
        "overhead": {
            "fp32": {"percent": _spread(2.0), "sections_ms": {RUN: 12.0, TOKENIZER: 0.1, "claim": 0.1, "finish": 0.2}},
            "INT8": {"percent": _spread(5.0), "sections_ms": {RUN: 8.0, TOKENIZER: 0.1, "claim": 0.3}},
        },
        "cold": {
            "contestants": [_start("fp32", 500, 190), _start("INT8", 250, 120), _start("reference", 2600, 500)],
        },
    }


def test_the_encoders_promises_are_kept_or_missed() -> None:
    found = {target.promise: target for target in show.targets({"encoder": _part()}) if "encoder" in target.promise}
    assert {promise.removeprefix("encoder, "): (target.value, target.passed) for promise, target in found.items()} == {
        "fp32, batch 10: CPU per text / reference's": (pytest.approx(0.65), True),
        "INT8, batch 10: CPU per text / reference's": (pytest.approx(0.45), True),
        "fp32: 1 - least cosine": (pytest.approx(0.00005), True),
        "INT8: 1 - least cosine": (pytest.approx(0.04), False),
        "fp32: INIT / reference's": (pytest.approx(500 / 2600), True),
        "INT8: INIT / reference's": (pytest.approx(250 / 2600), True),
        "fp32: memory after INIT / reference's": (pytest.approx(0.38), False),
        "INT8: memory after INIT / reference's": (pytest.approx(0.24), True),
        "fp32, batch 10: our own CPU / tokenizer and session.run": (0.02, True),
        "INT8, batch 10: our own CPU / tokenizer and session.run": (0.05, False),
        "fp32, batch 10: CPU per text / that of the best other server": (pytest.approx(13 / 12), False),
        "no size declared, batch 10: CPU per text / with one": (pytest.approx(14 / 13), True),
    }
    missing = [target for target in show.targets({}) if "encoder" in target.promise]
    assert len(missing) == len(found)
    assert {target.passed for target in missing} == {None}


def test_the_floors_own_sections_come_first_and_then_the_largest() -> None:
    assert report.sections_of(_part()["overhead"]) == [RUN, TOKENIZER, "claim", "finish"]


def test_the_encoders_tables_name_every_contestant() -> None:
    tables = list(report._encoder(_part()))
    cells = [list(column.cells) for table in tables for column in table.columns]
    assert "0.650" in cells[3]  # of the reference's CPU
    assert [len(table.rows) for table in tables] == [7, 3, 2, 5]


# Other servers


@pytest.mark.parametrize(
    ("kind", "body", "answer"),
    [
        (MOSEC, {"text": "a"}, {"embedding": [1]}),
        (LITSERVE, {"text": "a"}, {"embedding": [1]}),
        (BENTOML, {"inputs": [{"text": "a"}]}, [{"embedding": [1]}]),
    ],
)
def test_each_server_gets_and_gives_what_it_understands(kind: http_servers.Kind, body: Any, answer: Any) -> None:
    server = HttpServer(kind, 10, None, 1, traffic.ENCODER)
    head, _, sent = server._message("a").partition(b"\r\n\r\n")
    assert json.loads(sent) == body
    assert f"Content-Length: {len(sent)}".encode() in head.splitlines()
    assert head.startswith(f"POST {kind.path} HTTP/1.1".encode())
    assert kind.answer(answer) == {"embedding": [1]}


def test_the_other_servers_versions_are_pinned() -> None:
    for kind in (LITSERVE, BENTOML):
        (line,) = (http_servers.PEERS / kind.library / "requirements.txt").read_text().split()
        assert line.startswith(f"{kind.library}==")
    project = (ROOT / "pyproject.toml").read_text()
    assert '"mosec==' in project
    assert '"celery[redis]==' in project


# The model folder


class FakeTokenizer:
    """As many tokens as the text has words, up to the limit that it is given."""

    limit = 0

    @classmethod
    def from_file(cls, path: str) -> FakeTokenizer:
        assert path.endswith("encoder/tokenizer.json")
        return cls()

    def no_padding(self) -> None: ...

    def enable_truncation(self, limit: int) -> None:
        self.limit = limit

    def encode(self, text: str) -> Any:
        class Encoded:
            ids = [len(word) for word in text.split()][: self.limit]

        return Encoded


class Length:
    """A runtime: each row's vector is its number of tokens, and a third."""

    def run(self, feeds: Any) -> list[np.ndarray]:
        self.feeds = feeds
        return [np.stack([feeds["attention_mask"].sum(1), np.full(len(feeds["input_ids"]), 1 / 3)], 1).astype("f4")]


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "tokenizers", SimpleNamespace(Tokenizer=FakeTokenizer))
    spec = importlib.util.spec_from_file_location("bench_encoder", ROOT / "scripts" / "bench" / "encoder" / "model.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_encoder", module)
    spec.loader.exec_module(module)
    return module


def test_the_encoder_pads_to_the_longest_and_masks_what_it_padded(encoder: ModuleType) -> None:
    runtime = Length()
    model = encoder.Encoder(runtime, None)
    found = model.predict([{"text": "a bb"}, {"text": "ccc"}])
    assert runtime.feeds["input_ids"].tolist() == [[1, 2], [3, 0]]
    assert runtime.feeds["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert runtime.feeds["input_ids"].dtype == np.int64
    assert found == [{"embedding": [2.0, 0.333333]}, {"embedding": [1.0, 0.333333]}]
    assert model.size({"text": "word " * 300}) == encoder.LONGEST


def test_other_servers_run_the_models_own_predict_in_one_pass(
    monkeypatch: pytest.MonkeyPatch, encoder: ModuleType
) -> None:
    model = encoder.Encoder(Length(), None)
    monkeypatch.setenv("BENCH_MODEL", "folder")
    monkeypatch.setenv("BENCH_BATCH", "7")
    monkeypatch.setattr(peer_model, "load", lambda folder, threads: SimpleNamespace(model=model))
    items = [{"text": "a"}, {"text": "a b c d e f g h i j k l m n o p q r s t u v w x y z"}]
    assert [len(answer["embedding"]) for answer in peer_model.predictor()(items)] == [2, 2]
    assert model.runtime.feeds["input_ids"].shape == (2, 26)
    assert peer_model.batch_size() == 7
