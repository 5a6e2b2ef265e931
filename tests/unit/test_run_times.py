"""The usual times of a model, from the records that were read."""

from __future__ import annotations

from typing import Any

import pytest

from inference.requests import Status
from inference.run_times import KEPT, NEEDED, RunTime, RunTimes
from tests.unit.fakes import NOW
from tests.unit.samples import a_record


def succeeded(request_id: str, run_ms: int, waited_ms: int = 0, **changes: Any) -> Any:
    started_at = NOW + waited_ms
    times = {"started_at": started_at, "finished_at": started_at + run_ms}
    return a_record(request_id, **{"status": Status.SUCCEEDED, **times, **changes})


def test_the_medians_of_each_model() -> None:
    times = RunTimes()
    for number, (run_ms, waited_ms) in enumerate([(100, 5_000), (300, 100), (90_000, 200)]):
        times.learn(succeeded(f"a{number}", run_ms, waited_ms))
    for number in range(2):
        times.learn(succeeded(f"b{number}", 7, model="other"))
    assert times.usual("echo") == RunTime(run_ms=300, total_ms=5_100)
    assert times.usual("other") is None, "too few"
    assert times.usual("third") is None


def test_a_record_counts_once() -> None:
    times = RunTimes()
    for _ in range(9):
        times.learn(succeeded("a", 100))
    times.learn(succeeded("b", 50))
    times.learn(succeeded("c", 60))
    assert times.usual("echo") == RunTime(60, 60)


def test_only_the_last_ones_count() -> None:
    times = RunTimes()
    for number in range(100):
        times.learn(succeeded(f"a{number}", 1_000))
    for number in range(KEPT):
        times.learn(succeeded(f"b{number}", 10))
    assert times.usual("echo") == RunTime(10, 10)


@pytest.mark.parametrize(
    "record",
    [
        a_record(),
        a_record(status=Status.FAILED, started_at=NOW, finished_at=NOW + 5),
        a_record(status=Status.CANCELLED, finished_at=NOW + 5),
        a_record(status=Status.RUNNING, started_at=NOW),
    ],
)
def test_other_requests_say_nothing(record: Any) -> None:
    times = RunTimes()
    for number in range(NEEDED):
        times.learn(record._replace(request_id=f"a{number}"))
    assert times.usual("echo") is None
