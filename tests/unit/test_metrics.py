"""Metrics: what each function counts and measures, as lines in CloudWatch's embedded metric format."""

from __future__ import annotations

import json
import threading
from typing import Any

import jsonschema
import pytest

from inference.requests import ErrorCode, Status
from inference.telemetry import MAX_VALUES, Telemetry
from scripts.cost.usage import WORKER_METRICS
from tests import emf
from tests.unit.fakes import NOW, Fault, Recorder
from tests.unit.samples import a_message, a_record
from tests.unit.test_dead_letter_handler import DeadLetterHarness
from tests.unit.test_sweep import OLD, Floor
from tests.unit.worker_harness import WorkerHarness
from worker.batch import TIMEOUT_MARGIN_MS
from worker.model.errors import InputError

Values = dict[str, list[float]]


def embedded(log: Recorder) -> list[dict[str, emf.Metric]]:
    """What was written, line by line."""
    return [emf.read(json.dumps(line)) for line in log.embedded]


def of_the_one_line(log: Recorder) -> Values:
    (line,) = embedded(log)
    assert {(m.namespace, tuple(m.dimensions.items())) for m in line.values()} == {
        ("Inference", (("Environment", "p"), ("Model", "echo")))
    }
    return {name: metric.values for name, metric in line.items()}


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, emf.Metric]]:
    return [emf.read(line) for line in emf.lines_in(capsys.readouterr().out)]


def test_a_batch_is_one_line(harness: WorkerHarness) -> None:
    harness.add("a", "b", submitted_at=NOW - 700)
    harness.clock.advance(ms=400)
    harness.run()
    found = of_the_one_line(harness.log)
    assert all(0 <= value < 1000 for value in found.pop("RunTime"))
    expected = {"QueueWait": [400, 400], "BatchSize": [2], "EndToEnd": [1100, 1100], "Succeeded": [2], "Failed": [0]}
    assert found == expected


def test_what_a_metric_costs_is_known_of_all_that_a_batch_writes(harness: WorkerHarness) -> None:
    harness.add("a")
    harness.run()
    assert of_the_one_line(harness.log).keys() == set(WORKER_METRICS)


def test_the_units_are_those_of_cloudwatch(harness: WorkerHarness) -> None:
    harness.add("a")
    harness.run()
    (line,) = embedded(harness.log)
    assert {name: metric.unit for name, metric in line.items()} == {
        "QueueWait": "Milliseconds",
        "RunTime": "Milliseconds",
        "EndToEnd": "Milliseconds",
        "BatchSize": "Count",
        "Succeeded": "Count",
        "Failed": "Count",
    }


def test_several_passes_are_one_line(harness: WorkerHarness) -> None:
    harness.model.batch_size = 2
    harness.add("a", "b", "c")
    harness.run()
    found = of_the_one_line(harness.log)
    assert (found["BatchSize"], len(found["RunTime"]), found["Succeeded"]) == ([2, 1], 2, [3])


def test_more_values_than_a_line_may_have_are_in_the_next(harness: WorkerHarness) -> None:
    harness.model.batch_size = 1000
    harness.add(*(f"t{number}" for number in range(2 * MAX_VALUES + 1)))
    harness.run(most=1000)
    lines = embedded(harness.log)
    assert [len(line["EndToEnd"].values) for line in lines] == [MAX_VALUES, MAX_VALUES, 1]
    counted = [line["Succeeded"].values for line in lines if "Succeeded" in line]
    assert counted == [[2 * MAX_VALUES + 1]], "a count is written once"


def test_a_failure_is_counted_by_its_code_when_no_attempt_is_left(harness: WorkerHarness) -> None:
    harness.add("bad", attempt_limit=2)
    harness.model.reactions["bad"] = ValueError("no")
    harness.run()
    assert "Failed" not in of_the_one_line(harness.log), "another attempt will come"
    harness.log.embedded.clear()
    harness.clock.advance(seconds=600)
    harness.run()
    found = of_the_one_line(harness.log)
    assert (found["Failed"], found["FailedModelError"], found["Succeeded"]) == ([1], [1], [0])
    assert "QueueWait" not in found, "an attempt waited in the queue for the first attempt only"
    assert "EndToEnd" not in found, "a failure has no result"


def test_an_input_that_the_model_rejects_is_no_failure_of_the_deployment(harness: WorkerHarness) -> None:
    harness.add("bad")
    harness.model.reactions["bad"] = InputError("too long")
    harness.run()
    found = of_the_one_line(harness.log)
    assert found["InvalidInput"] == [1]
    assert not found.keys() & {"Failed", "FailedInvalidInput"}


def test_an_outcome_that_was_not_written_is_not_counted(harness: WorkerHarness) -> None:
    (name,) = harness.add("a")
    harness.model.reactions["a"] = lambda: harness.table.put(a_record(name, status=Status.CANCELLED))
    harness.run()
    assert not of_the_one_line(harness.log).keys() & {"Succeeded", "EndToEnd"}


def test_a_request_that_expired_in_the_queue_is_counted_once(harness: WorkerHarness) -> None:
    harness.add("late", expires_at=NOW - 1)
    harness.run()
    assert of_the_one_line(harness.log) == {"Expired": [1]}


def test_a_hung_model_has_its_metrics_before_lambda_kills_it(harness: WorkerHarness) -> None:
    harness.add("hung", attempt_limit=1)
    written = threading.Event()
    write = harness.log.write_metrics

    def write_metrics() -> None:
        write()
        written.set()

    harness.log.write_metrics = write_metrics  # type: ignore[method-assign]
    seen: list[Any] = []
    harness.model.reactions["hung"] = lambda: (written.wait(5), seen.extend(harness.log.embedded))
    harness.remaining = lambda: TIMEOUT_MARGIN_MS + 20
    harness.run()
    (line,) = seen
    found = emf.read(json.dumps(line))
    assert (found["Failed"].values, found["FailedTimeout"].values, found["QueueWait"].values) == ([1], [1], [0])


def test_nothing_is_written_when_nothing_happened(harness: WorkerHarness) -> None:
    harness.run()
    assert harness.log.embedded == []


def test_dead_letters_are_counted_by_code() -> None:
    harness = DeadLetterHarness()
    harness.lines = ["x Task timed out after 30.03 seconds"]
    expired = a_record("a2", expires_at=NOW - 1)
    harness.table.put(expired)
    running = a_record("a1", status=Status.RUNNING, attempts=5, lease_until=NOW - 1, invocation_id="i", started_at=NOW)
    harness.table.put(running)
    unreadable = json.dumps({"request_id": "a3"})
    harness.table.put(a_record("a3"))
    harness.handle(a_message(running).to_body(), a_message(expired).to_body(), unreadable)
    harness.log.write_metrics()
    assert of_the_one_line(harness.log) == {
        "Succeeded": [0],
        "Failed": [2],
        "FailedTimeout": [1],
        "FailedUnreadable": [1],
        "Expired": [1],
    }


def test_a_dead_letter_whose_write_failed_is_not_counted() -> None:
    harness = DeadLetterHarness()
    harness.table.faults.append(Fault("apply"))
    harness.handle_record(a_record("a1", status=Status.RUNNING, attempts=5, lease_until=NOW - 1))
    harness.log.write_metrics()
    assert harness.log.events("dead_letter_not_recorded")
    assert harness.log.embedded == []


def test_what_the_sweeper_ends_is_counted_by_its_model() -> None:
    floor = Floor()
    floor.table.put(a_record("a1", submitted_at=OLD, expires_at=NOW - 1))
    floor.table.put(a_record("b1", submitted_at=OLD, model="removed"))
    floor.table.put(a_record("c1", submitted_at=OLD))
    floor.sweep()
    floor.log.write_metrics()
    found = {
        line["Expired" if "Expired" in line else "Failed"].dimensions["Model"]: line for line in embedded(floor.log)
    }
    assert {model: {name: m.values for name, m in line.items()} for model, line in found.items()} == {
        "echo": {"Expired": [1]},
        "removed": {"Succeeded": [0], "Failed": [1], "FailedModelRemoved": [1]},
    }


def test_the_models_of_a_pool_are_counted_together(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("p-worker-trials", environment="p", pools={"a": "trials", "b": "trials"})
    for model in ("a", "b", "own"):
        telemetry.count_outcome(model, Status.SUCCEEDED)
        telemetry.measure(model, "RunTime", 2.0)
    telemetry.write_metrics()
    found = {line["Succeeded"].dimensions["Model"]: line for line in printed(capsys)}
    assert {name: line["Succeeded"].values for name, line in found.items()} == {"trials": [2], "own": [1]}
    assert {name: line["RunTime"].values for name, line in found.items()} == {"trials": [2.0, 2.0], "own": [2.0]}


def test_a_cold_start_is_counted_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    telemetry = Telemetry("p-api", environment="p")
    for _ in range(2):
        telemetry.begin(invocation_id="i")
        telemetry.count_cold_start()
        telemetry.write_metrics()
    (line,) = printed(capsys)
    assert line["ColdStart"] == emf.Metric("Inference", {"Environment": "p", "Function": "p-api"}, "Count", [1])


def test_a_start_ahead_of_the_requests_is_no_cold_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
    telemetry = Telemetry("p-worker-echo", environment="p")
    telemetry.begin(invocation_id="i")
    telemetry.count_cold_start("echo")
    telemetry.write_metrics()
    assert printed(capsys) == []


def test_metrics_can_be_turned_off(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("p-api")
    telemetry.count_outcome("echo", Status.SUCCEEDED)
    telemetry.measure("echo", "EndToEnd", 1.0)
    telemetry.write_metrics()
    assert capsys.readouterr().out == ""
    assert telemetry._metrics == {}, "a process that lives for hours must not keep them"


def test_metrics_are_written_whatever_the_log_level(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("p-api", "ERROR", "p")
    telemetry.count_outcome("echo", Status.SUCCEEDED)
    telemetry.write_metrics()
    assert [sorted(line) for line in printed(capsys)] == [["Failed", "Succeeded"]]


@pytest.mark.parametrize("code", [code for code in ErrorCode if code is not ErrorCode.INVALID_INPUT])
def test_each_error_code_is_a_metric(capsys: pytest.CaptureFixture[str], code: ErrorCode) -> None:
    telemetry = Telemetry("p-api", environment="p")
    telemetry.count_outcome("echo", Status.FAILED, code)
    telemetry.write_metrics()
    (line,) = printed(capsys)
    (of_code,) = line.keys() - {"Succeeded", "Failed"}
    assert of_code.removeprefix("Failed").lower() == code.replace("_", "")


def without(key: str) -> Any:
    def change(line: dict[str, Any]) -> None:
        del line[key]

    return change


@pytest.mark.parametrize(
    "change",
    [
        without("_aws"),
        without("Model"),
        without("Count"),
        lambda line: line.update(Model=1),
        lambda line: line.update(Count="1"),
        lambda line: line.update(Count=[1] * 101),
        lambda line: line["_aws"].update(Timestamp="now"),
        lambda line: line["_aws"]["CloudWatchMetrics"][0].update(Metrics=[{"Name": "Count", "Unit": "Apples"}]),
        lambda line: line["_aws"]["CloudWatchMetrics"][0].update(Dimensions=[]),
    ],
)
def test_the_check_finds_what_violates_the_specification(change: Any) -> None:
    directive = {"Namespace": "N", "Dimensions": [["Model"]], "Metrics": [{"Name": "Count", "Unit": "Count"}]}
    line: dict[str, Any] = {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "Model": "m", "Count": 1}
    emf.read(json.dumps(line))
    change(line)
    with pytest.raises((AssertionError, KeyError, ValueError, jsonschema.ValidationError)):
        emf.read(json.dumps(line))
