"""Logs: one JSON line per event."""

import json
from typing import Any

import pytest

from inference.telemetry import Stopwatch, Telemetry, function_name, now_ms


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_json_line_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("api")
    telemetry.info("upload_created", request_id="a1", text="two\nlines \ud800", odd={1, 2})
    telemetry.warning("request_retried", attempt=2)
    first, second = lines(capsys)
    assert first == {
        "level": "INFO",
        "event": "upload_created",
        "function": "api",
        "request_id": "a1",
        "text": "two\nlines \ud800",
        "odd": "{1, 2}",
    }
    assert (second["level"], second["attempt"]) == ("WARNING", 2)


def test_an_error_names_the_version_of_the_function(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pattern in terraform/modules/function/rollout.tf counts these lines, and no others."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "8")
    telemetry = Telemetry("api")
    telemetry.warning("request_retried")
    telemetry.error("prediction_failed")
    warning, error = lines(capsys)
    assert "function_version" not in warning
    assert (error["level"], error["function_version"]) == ("ERROR", "8")


def test_a_cold_start_is_the_first_invocation_alone(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("api")
    for invocation in ("one", "two", "three"):
        telemetry.begin(invocation_id=invocation)
        telemetry.info("started")
        telemetry.info("ended")
    told = [(line["invocation_id"], line["cold_start"]) for line in lines(capsys)]
    assert told == [("one", True)] * 2 + [("two", False)] * 2 + [("three", False)] * 2


def test_what_one_invocation_says_does_not_reach_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("api")
    telemetry.begin(model="a")
    telemetry.identify(request_id="a1")
    telemetry.info("x")
    telemetry.begin(invocation_id="two")
    telemetry.info("x")
    first, second = lines(capsys)
    assert (first["model"], first["request_id"]) == ("a", "a1")
    assert not {"model", "request_id"} & second.keys()


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry("api", "WARNING")
    telemetry.info("b")
    telemetry.warning("c")
    telemetry.error("d")
    assert [line["event"] for line in lines(capsys)] == ["c", "d"]
    Telemetry("api").debug("e")
    Telemetry("api", "DEBUG").debug("f")
    assert [line["event"] for line in lines(capsys)] == ["f"]


def test_an_error_has_its_type_text_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("bad")
    except ValueError as error:
        Telemetry("api").error("failed", error, request_id="a1")
    (line,) = lines(capsys)
    assert (line["level"], line["error"], line["request_id"]) == ("ERROR", "ValueError: bad", "a1")
    assert "test_telemetry.py" in line["traceback"]


def test_times_are_in_milliseconds() -> None:
    assert now_ms() > 1_700_000_000_000
    watch = Stopwatch()
    assert 0 <= watch.ms <= watch.ms


def test_the_function_is_named_by_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "p-api")
    assert function_name() == "p-api"
