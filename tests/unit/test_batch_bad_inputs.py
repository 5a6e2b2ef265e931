"""A bad input in a batch hurts only itself: the others succeed in the same invocation."""

from __future__ import annotations

import pytest

from tests.unit.worker_harness import WorkerHarness
from worker.model.errors import InputError


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), SystemExit(1)], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("position", [0, 4, 9])
def test_the_others_succeed_in_the_same_invocation(harness: WorkerHarness, position: int, error: BaseException) -> None:
    bad = "abcdefghij"[position]
    harness.model.reactions[bad] = error
    ids = harness.add(*"abcdefghij")
    assert harness.run() == [f"m{position + 1}"]
    expected = ["succeeded"] * 10
    expected[position] = "pending"
    assert harness.statuses() == expected
    assert harness.error(ids[position])["attempt"] == 1
    assert len(harness.model.passes) <= 9


@pytest.mark.parametrize("raised", [True, False], ids=["raised", "in_place"])
def test_an_input_error_fails_at_once_and_keeps_no_input(harness: WorkerHarness, raised: bool) -> None:
    def reject() -> None:
        raise InputError("not English")

    harness.model.reactions["b"] = reject if raised else InputError("not English")
    ids = harness.add("a", "b", "c")
    assert harness.run() == []
    assert harness.statuses() == ["succeeded", "failed", "succeeded"]
    assert harness.error(ids[1]) == {"code": "invalid_input", "message": "not English", "attempt": 1}
    assert harness.table.record(ids[1]).input is None


def test_an_input_that_violates_the_schema_never_reaches_the_model(harness: WorkerHarness) -> None:
    ids = harness.add("a", "", "c")
    assert harness.run() == []
    assert harness.model.passes == [["a", "c"]]
    assert harness.statuses() == ["succeeded", "failed", "succeeded"]
    assert harness.error(ids[1])["code"] == "invalid_input"
    assert "data.text" in harness.error(ids[1])["message"]


def test_a_batch_of_nothing_but_bad_inputs_needs_no_pass(harness: WorkerHarness) -> None:
    harness.add("", "")
    assert harness.run() == []
    assert harness.model.passes == []
    assert harness.statuses() == ["failed", "failed"]
