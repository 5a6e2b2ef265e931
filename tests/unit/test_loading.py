"""When a model is loaded: as the process starts or, where that start was killed, with the first batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fakes import Recorder
from tests.unit.model_folders import WORDCOUNT, plain_manifest
from worker.loading import LoadableModel
from worker.memory import ModelMemory
from worker.model import load as load_folder
from worker.model.errors import ArtifactError, NotLoadedError
from worker.model.loaded import LoadedModel


class Start:
    """One environment of Lambda, and the starts of a worker's process in it."""

    def __init__(self, folder: Path) -> None:
        self.manifest = WORDCOUNT / "manifest.json"
        self.begun = folder / "begun"
        self.log = Recorder()
        self.loads = 0
        self.error: BaseException | None = None

    def load(self) -> LoadedModel:
        self.loads += 1
        assert self.begun.exists()
        if self.error is not None:
            raise self.error
        return load_folder(WORDCOUNT, threads=1)

    def model(self) -> LoadableModel:
        return LoadableModel("mine", self.manifest, self.load, self.begun, self.log, ModelMemory(2**40, self.log))


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


INPUTS = [{"text": "two words"}]
OUTPUTS = [{"words": 2}]


def test_a_model_is_loaded_once_when_its_process_starts(start: Start) -> None:
    model = start.model()
    model.start(required=False)
    assert start.loads == 1
    for _ in range(2):
        model.begin_invocation()
        model.load()
        assert model.predict(INPUTS) == OUTPUTS
    assert start.loads == 1
    assert not start.begun.exists()
    assert [line["event"] for line in start.log.lines] == ["model_loaded"]


def test_a_start_after_one_that_was_killed_in_its_load_leaves_the_load_to_the_first_batch(start: Start) -> None:
    start.begun.touch()
    model = start.model()
    model.start(required=False)
    assert (start.loads, model.loaded) == (0, None)
    assert [line["event"] for line in start.log.lines] == ["load_deferred"]
    assert model.predict(INPUTS) == OUTPUTS
    assert not start.begun.exists()
    start.model().start(required=False)
    assert start.loads == 2, "the next start loads at once"


def test_where_it_must_load_a_mark_does_not_keep_it_and_an_error_ends_the_start(start: Start) -> None:
    start.begun.touch()
    start.error = ArtifactError("gone")
    with pytest.raises(NotLoadedError, match="The model mine could not be loaded: ArtifactError: gone"):
        start.model().start(required=True)


@pytest.mark.parametrize("error", [ArtifactError("gone"), SystemExit("gone"), ImportError("gone")])
def test_a_model_that_does_not_load_says_why_and_is_loaded_again_in_the_next_invocation(
    start: Start, error: BaseException
) -> None:
    start.error = error
    model = start.model()
    model.start(required=False)
    for invocation in (2, 3):
        model.begin_invocation()
        for _ in range(2):  # once in an invocation, however many chunks it has
            message = f"The model mine could not be loaded: {type(error).__name__}: gone"
            with pytest.raises(NotLoadedError, match=message):
                model.predict(INPUTS)
        assert start.loads == invocation
    start.error = None
    model.begin_invocation()
    assert model.predict(INPUTS) == OUTPUTS


def test_a_load_without_enough_memory_says_what_to_do(start: Start) -> None:
    start.error = MemoryError()
    with pytest.raises(NotLoadedError, match="MemoryError: ; raise memory_mb"):
        start.model().load()


def test_what_the_manifest_says_is_known_before_the_model_is_loaded(start: Start, tmp_path: Path) -> None:
    changed: dict[str, Any] = {"version": "7", "batch_size": 3, "permanent_errors": ["ValueError"]}
    start.manifest = tmp_path / "manifest.json"
    start.manifest.write_text(json.dumps(plain_manifest() | changed))
    model = start.model()
    assert (model.version, model.batch_size, tuple(model.permanent_errors)) == ("7", 3, ("ValueError",))
    start.manifest.write_text("{")
    assert start.model().version == "not loaded"


def test_a_disk_that_takes_no_mark_keeps_no_model_from_loading(start: Start, tmp_path: Path) -> None:
    start.begun = tmp_path / "no such folder" / "begun"
    memory = ModelMemory(2**40, start.log)
    load = lambda: load_folder(WORDCOUNT, threads=1)  # noqa: E731
    model = LoadableModel("mine", start.manifest, load, start.begun, start.log, memory)
    model.start(required=False)
    assert model.predict(INPUTS) == OUTPUTS
