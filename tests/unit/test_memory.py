"""Which models stay loaded: the ones used last, as far as the memory goes."""

from __future__ import annotations

import pytest

from tests.unit.fakes import Recorder
from worker.memory import ModelMemory, resident_bytes

MB = 2**20


class Process:
    """A process whose models have sizes; `base` is what it needs without them."""

    def __init__(self, budget_mb: int, base_mb: int = 100) -> None:
        self.log = Recorder()
        self.base = base_mb * MB
        self.models: dict[str, Sized] = {}
        self.memory = ModelMemory(budget_mb * MB, self.log, self.resident)

    def resident(self) -> int:
        return self.base + sum(model.size for model in self.models.values() if model.is_loaded)

    def use(self, name: str, size_mb: int = 100, artifact_mb: int = 0) -> None:
        model = self.models.setdefault(name, Sized(name, size_mb * MB, artifact_mb * MB))
        if model.is_loaded:
            self.memory.use(model)
            return
        with self.memory.loading(model):
            model.is_loaded = True

    def loaded(self) -> list[str]:
        return [name for name, model in self.models.items() if model.is_loaded]


class Sized:
    """A model of a known size."""

    def __init__(self, name: str, size: int, artifact_bytes: int) -> None:
        self.name, self.size, self.artifact_bytes, self.is_loaded = name, size, artifact_bytes, False

    def drop(self) -> None:
        self.is_loaded = False


def test_all_that_fit_stay() -> None:
    process = Process(budget_mb=400)
    for name in "abc":
        process.use(name)
    assert process.loaded() == ["a", "b", "c"]
    assert process.log.lines == []


def test_the_one_used_the_longest_ago_is_dropped() -> None:
    process = Process(budget_mb=400)
    for name in "abcad":
        process.use(name)
    assert process.loaded() == ["a", "c", "d"]
    (line,) = process.log.events("model_dropped")
    assert (line["model"], line["size_mb"], line["resident_mb"]) == ("b", 100, 400)


def test_room_is_made_before_a_load_by_the_artifacts_size() -> None:
    """The load itself must not run out of memory."""
    process = Process(budget_mb=400)
    process.use("a")
    process.use("b", size_mb=90, artifact_mb=101)
    assert process.loaded() == ["b"]


def test_room_is_made_before_another_load_by_the_size_that_was_measured() -> None:
    process = Process(budget_mb=400)
    process.use("a", size_mb=250)
    process.use("b")
    assert process.loaded() == ["b"]
    process.use("c")
    most = 0

    def watched() -> int:
        nonlocal most
        most = max(most, Process.resident(process))
        return Process.resident(process)

    process.memory._resident = watched
    process.use("a")
    assert process.loaded() == ["a"]
    assert most <= 400 * MB


def test_a_model_that_does_not_fit_alone_is_loaded_all_the_same() -> None:
    process = Process(budget_mb=400)
    process.use("a")
    process.use("huge", size_mb=1000)
    assert process.loaded() == ["huge"]


def test_a_load_that_fails_is_not_remembered() -> None:
    process = Process(budget_mb=250)
    broken = Sized("broken", 0, 0)
    with pytest.raises(ValueError, match="broken"), process.memory.loading(broken):
        raise ValueError("broken")
    process.use("a")
    process.use("b")
    assert process.loaded() == ["b"]


def test_the_resident_memory_grows_with_what_is_held() -> None:
    before = resident_bytes()
    held = bytearray(b"x") * (64 * MB)
    assert before > 0
    assert resident_bytes() - before > 32 * MB
    del held
