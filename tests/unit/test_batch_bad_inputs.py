"""A bad input in a batch hurts only itself: the others succeed in the same invocation."""

from __future__ import annotations

import pytest

from tests.unit.worker_harness import Bench
from worker.errors import InputError


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), SystemExit(1)], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("position", [0, 4, 9])
def test_the_others_succeed_in_the_same_invocation(bench: Bench, position: int, error: BaseException) -> None:
    bad = "abcdefghij"[position]
    bench.model.reactions[bad] = error
    ids = bench.add(*"abcdefghij")
    assert bench.run() == [f"m{position + 1}"]
    expected = ["succeeded"] * 10
    expected[position] = "pending"
    assert bench.statuses() == expected
    assert bench.error(ids[position])["attempt"] == 1
    assert len(bench.model.passes) <= 9


@pytest.mark.parametrize("raised", [True, False], ids=["raised", "in_place"])
def test_an_input_error_fails_at_once_and_keeps_no_input(bench: Bench, raised: bool) -> None:
    def refuse() -> None:
        raise InputError("not English")

    bench.model.reactions["b"] = refuse if raised else InputError("not English")
    ids = bench.add("a", "b", "c")
    assert bench.run() == []
    assert bench.statuses() == ["succeeded", "failed", "succeeded"]
    assert bench.error(ids[1]) == {"code": "invalid_input", "message": "not English", "attempt": 1}
    assert bench.table.record(ids[1]).input is None


def test_an_input_that_violates_the_schema_never_reaches_the_model(bench: Bench) -> None:
    ids = bench.add("a", "", "c")
    assert bench.run() == []
    assert bench.model.passes == [["a", "c"]]
    assert bench.statuses() == ["succeeded", "failed", "succeeded"]
    assert bench.error(ids[1])["code"] == "invalid_input"
    assert "data.text" in bench.error(ids[1])["message"]


def test_a_batch_of_nothing_but_bad_inputs_needs_no_pass(bench: Bench) -> None:
    bench.add("", "")
    assert bench.run() == []
    assert bench.model.passes == []
    assert bench.statuses() == ["failed", "failed"]
