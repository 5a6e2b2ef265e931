"""A batch from a file when a process is killed at any step: no line is lost, none is stuck, none runs twice."""

from __future__ import annotations

from contextlib import suppress

import pytest

from inference.batches import creation
from inference.requests import OPEN
from tests.unit.api_harness import ME
from tests.unit.batch_file_harness import BatchFiles
from tests.unit.fakes import Killed
from tests.unit.test_payload_faults import Step, kill

TEXTS = ["a", "b", "c", "d", "x" * 260_000]

SUBMIT = ["get", "create_batch", "send_batch", "apply_batch"]
"""The effects of a keyed submit."""

CREATE = [
    *("get_batch", "apply_batch"),  # claim
    *("get", "apply_batch", "apply_batch"),  # the check: three lines, and two
    *(*["create_many"] * 3, *["send_many"] * 3, "apply_batch"),
    *(*["create_many"] * 2, "put", *["send_many"] * 2, "apply_batch"),
    "delete",
]
"""Those of the batches function; a file of one part is read once."""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three lines in a step."""
    monkeypatch.setattr(creation, "CHUNK", 3)
    monkeypatch.setattr(creation, "LINES_CHECKED", 3)


def test_the_effects_are_these() -> None:
    files = BatchFiles()
    files.submit_texts(*TEXTS)
    seen: list[str] = []
    files.when(seen.append)
    files.create()
    assert seen == CREATE


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(SUBMIT)), ids=lambda number: f"{number}_{SUBMIT[number]}")
class TestAKilledSubmit:
    def test_its_repeat_completes_it_and_each_line_runs_once(self, number: int, after: bool) -> None:
        files = BatchFiles()
        upload_id = files.upload_lines(*({"text": text} for text in TEXTS))
        step = Step(number, kill)
        files.when(step, after)
        with suppress(Killed):
            files.submit(upload_id, "k")
        assert step.done
        files.create()
        batch = files.submit(upload_id, "k")
        files.work()
        assert files.counts(batch) == {"succeeded": len(TEXTS)}
        assert files.computed() == TEXTS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(CREATE)), ids=lambda number: f"{number}_{CREATE[number]}")
class TestAKilledInvocation:
    def test_the_next_one_completes_it_and_each_line_runs_once(self, number: int, after: bool) -> None:
        files = BatchFiles()
        batch = files.submit_texts(*TEXTS)
        step = Step(number, kill)
        files.when(step, after)
        with suppress(Killed):
            files.create()
        assert step.done
        files.worker.run()
        files.work()
        shown = files.show(batch)
        assert shown.finished
        assert files.counts(batch) == {"succeeded": len(TEXTS)}
        assert files.computed() == TEXTS

    def test_a_cancel_after_it_stops_all_and_nothing_stays_open(self, number: int, after: bool) -> None:
        files = BatchFiles()
        batch = files.submit_texts(*TEXTS)
        files.when(Step(number, kill), after)
        with suppress(Killed):
            files.create()
        files.batches.cancel(batch.batch_id, ME, files.clock())
        files.work()
        shown = files.show(batch)
        assert (shown.finished, shown.status) == (True, "finished")
        counts = files.counts(batch)
        assert counts.keys() <= {"cancelled", "not_created"}
        assert sum(counts.values()) == shown.batch.total
        assert not {item["status"] for item in files.table.items.values()} & OPEN
        assert files.computed() == []

    def test_two_messages_do_the_work_once(self, number: int, after: bool) -> None:
        files = BatchFiles()
        batch = files.submit_texts(*TEXTS)
        files.batch_queue.send(batch.batch_id)
        files.when(Step(number, kill), after)
        with suppress(Killed):
            files.create()
        files.work()
        assert files.counts(batch) == {"succeeded": len(TEXTS)}
        assert files.computed() == TEXTS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(16))
def test_a_cancel_that_is_killed_is_continued(number: int, after: bool) -> None:
    files = BatchFiles()
    batch = files.submit_texts(*TEXTS)
    files.create_all()
    files.batches.cancel(batch.batch_id, ME, files.clock())
    files.when(Step(number, kill), after)
    with suppress(Killed):
        files.create()
    files.when(lambda _: None, after)
    files.work()
    assert files.counts(batch) == {"cancelled": len(TEXTS)}
    assert files.computed() == []
