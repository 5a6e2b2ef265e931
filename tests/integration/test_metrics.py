"""The metrics of the functions that all models share, in their output."""

from __future__ import annotations

import pytest

from tests import emf
from tests.integration.system import PREFIX, System
from tests.integration.terraform_definition import MAX_RECEIVE_COUNT

TEXT = {"text": "worst delay of my life, never again"}


def metrics_in(capsys: pytest.CaptureFixture[str]) -> list[dict[str, list[float]]]:
    """The metrics that were written since the last call, line by line."""
    lines = [emf.read(line) for line in emf.lines_in(capsys.readouterr().out)]
    assert all(metric.dimensions["Environment"] == PREFIX for line in lines for metric in line.values())
    return [{name: metric.values for name, metric in line.items()} for line in lines]


def test_accepting_a_request_and_asking_for_it_write_no_metric(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    assert metrics_in(capsys) == [{"ColdStart": [1]}]
    system.predict(TEXT)
    system.status(request_id)
    assert metrics_in(capsys) == []


def test_a_ping_is_no_traffic(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert system.api.handler({"ping": {"hold_ms": 0}}, system._context()) == {}
    assert capsys.readouterr().out == ""
    system.predict(TEXT)
    assert metrics_in(capsys) == [], "no cold start: the ping has started the process"


def test_a_request_is_counted_as_cancelled_once(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    metrics_in(capsys)
    system.cancel(request_id)
    assert metrics_in(capsys) == [{"Cancelled": [1]}]
    system.clock.advance(1)
    system.cancel(request_id)
    assert metrics_in(capsys) == []


def test_dead_letters_and_sweeper_write_what_they_ended(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.predict(TEXT)
    metrics_in(capsys)
    for _ in range(MAX_RECEIVE_COUNT + 1):  # deliveries that nobody could take, until SQS gives up
        system.receive("sentiment")
        system.time_passes(0)
    system.run_dead_letters()
    assert metrics_in(capsys) == [{"Succeeded": [0], "Failed": [1], "FailedUndelivered": [1]}]
    system.predict(TEXT)
    system.clock.advance(2 * 86_400)
    system.sweep()
    assert metrics_in(capsys) == [{"Expired": [1]}]
