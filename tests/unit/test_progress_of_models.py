"""Progress: what a model reports, and what of it is written, when, and into which records."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from inference import transitions
from inference.description import describe
from inference.requests import Status
from inference.store.request_table import Applied
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Fault, Recorder
from tests.unit.samples import a_message, a_record
from tests.unit.worker_harness import EchoModel, WorkerHarness
from worker.claims import Claim
from worker.delivery import Delivery
from worker.model import progress
from worker.model.base import Model
from worker.progress import ProgressWriter

DEADLINE_SECONDS = 10.0


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


# What a model reports


def reports_of(*calls: tuple[Any, Any]) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    with progress.reporting(lambda fraction, message: found.append((fraction, message))):
        for fraction, message in calls:
            Model.progress(None, fraction, message)  # type: ignore[arg-type]
    return found


def test_a_report() -> None:
    assert reports_of((0.4, "page 4"), (1, "")) == [(0.4, "page 4"), (1.0, "")]


def test_a_report_is_bounded() -> None:
    assert reports_of((1.0000001, "x" * 1_000), (-1e-9, 5), (float("inf"), "")) == [(1, "x" * 200), (0, "5"), (1, "")]


@pytest.mark.parametrize("fraction", [float("nan"), "half", "nan"])
def test_what_is_no_number_is_the_models_mistake(fraction: Any) -> None:
    with pytest.raises(ValueError, match=r"progress has to be|could not convert"):
        reports_of((fraction, ""))


def test_a_report_to_nobody_has_no_effect() -> None:
    Model.progress(None, 0.5)  # type: ignore[arg-type]
    with pytest.raises(KeyError), progress.reporting(lambda *_: None):
        raise KeyError
    assert progress._report is None


# What is written


def claims_of(table: FakeTable, count: int = 2, attempt: int = 1) -> list[Claim]:
    claims = []
    for number in range(count):
        record = a_record(f"a{number}", status=Status.RUNNING, attempts=attempt, lease_until=NOW + 1_000)
        table.put(record)
        claims.append(Claim(Delivery("h", 1, NOW, a_message(record)), attempt))
    return claims


def written(table: FakeTable, request_id: str = "a0") -> Any:
    text = table.record(request_id).progress
    return None if text is None else json.loads(text)


def test_a_report_is_written_into_all_requests_of_the_pass_in_one_call() -> None:
    table = FakeTable()
    with ProgressWriter(table, claims_of(table), lambda: NOW, Recorder()) as writer:
        writer.report(0.4, "page 4")
        eventually(lambda: written(table, "a1"))
    assert written(table) == written(table, "a1") == {"fraction": 0.4, "message": "page 4"}
    assert table.calls == ["apply"]


def test_the_last_of_many_reports_is_written_after_the_pause() -> None:
    table = FakeTable()
    times: list[float] = []
    table.before = lambda _: times.append(time.monotonic())
    with ProgressWriter(table, claims_of(table, 1), lambda: NOW, Recorder(), seconds=0.2) as writer:
        writer.report(0, "")
        eventually(lambda: times)
        for number in range(1, 1_000):
            writer.report(number / 1_000, "")
        eventually(lambda: (written(table) or {}).get("fraction") == 0.999)
    assert 2 <= len(times) <= (times[-1] - times[0]) / 0.2 + 1.5, "a fifth of a second between two, or a moment less"


def test_the_model_does_not_wait_for_a_write() -> None:
    table, may_end = FakeTable(), threading.Event()
    table.before = lambda _: may_end.wait(DEADLINE_SECONDS)
    with ProgressWriter(table, claims_of(table), lambda: NOW, Recorder(), seconds=0) as writer:
        for number in range(10):
            writer.report(number / 10, "")
        eventually(lambda: table.calls)
    assert written(table) is None, "the pass is over before the first write"
    may_end.set()
    assert writer._thread is not None
    writer._thread.join(DEADLINE_SECONDS)
    assert not writer._thread.is_alive()
    assert table.calls == ["apply"], "none follows the pass"


def test_a_pass_without_reports_has_no_thread() -> None:
    table = FakeTable()
    with ProgressWriter(table, claims_of(table), lambda: NOW, Recorder()) as writer:
        pass
    assert writer._thread is None
    writer.report(1, "too late")
    assert writer._thread is None


def test_a_write_that_fails_is_followed_by_the_next() -> None:
    table, log = FakeTable(), Recorder()
    table.faults.append(Fault("apply", times=2))
    with ProgressWriter(table, claims_of(table), lambda: NOW, log, seconds=0) as writer:
        writer.report(0.1, "")
        eventually(lambda: log.events("progress_not_written"))
        writer.report(0.2, "")
        eventually(lambda: written(table, "a1"))
    assert written(table)["fraction"] == 0.2
    (warned,) = log.events("progress_not_written")
    assert warned["requests"] == 2


def test_nothing_is_written_any_more_when_all_requests_are_cancelled() -> None:
    table = FakeTable()
    claims = claims_of(table)
    table.apply([transitions.cancel(name, NOW) for name in ("a0", "a1")])
    table.calls.clear()
    with ProgressWriter(table, claims, lambda: NOW, Recorder(), seconds=0) as writer:
        writer.report(0.1, "")
        assert writer._thread is not None
        writer._thread.join(DEADLINE_SECONDS)
        writer.report(0.2, "")
        assert not writer._thread.is_alive()
    assert table.calls == ["apply"]


@pytest.mark.parametrize(
    "changes",
    [
        {"attempts": 2},
        {"lease_until": NOW - 1},
        {"status": Status.SUCCEEDED},
        {"status": Status.PENDING, "lease_until": None},
    ],
)
def test_only_the_attempt_that_holds_the_lease_reports(changes: dict[str, Any]) -> None:
    table = FakeTable()
    table.put(a_record(**{"status": Status.RUNNING, "attempts": 1, "lease_until": NOW + 1, **changes}))
    result = table.apply([transitions.report_progress("a1", 1, "{}", NOW)])[0]
    assert not isinstance(result, Applied)
    assert table.record("a1").progress is None


# On its way


def test_a_model_reports_while_it_predicts() -> None:
    model = EchoModel()
    floor = WorkerHarness(model=model)
    (request_id,) = floor.add("slow")
    seen: list[Any] = []

    def work() -> None:
        progress.report(0.4, "page 4")
        eventually(lambda: floor.table.record(request_id).progress)
        seen.append(describe(floor.table.record(request_id), floor.clock())["progress"])

    model.reactions["slow"] = work
    assert floor.run() == []
    assert seen == [{"fraction": 0.4, "message": "page 4"}]
    assert floor.table.record(request_id).progress is None
    assert floor.statuses() == ["succeeded"]


def test_the_next_attempt_begins_without_progress() -> None:
    model = EchoModel()
    floor = WorkerHarness(model=model)
    (request_id,) = floor.add("slow")

    def work() -> None:
        progress.report(0.9, "nearly")
        eventually(lambda: floor.table.record(request_id).progress)
        raise RuntimeError("no")

    model.reactions["slow"] = work
    floor.run()
    assert floor.statuses() == ["pending"]
    assert floor.table.record(request_id).progress is None


def test_what_a_killed_attempt_reported_goes_with_the_next_claim() -> None:
    table = FakeTable()
    table.put(a_record(status=Status.RUNNING, attempts=1, lease_until=NOW - 1, progress="{}"))
    trace = {"invocation_id": "i", "model_version": "1", "code_digest": "d"}
    table.apply([transitions.take_over("a1", NOW, NOW + 1_000, NOW, **trace)])
    assert (table.record("a1").attempts, table.record("a1").progress) == (2, None)
