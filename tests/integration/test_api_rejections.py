"""What the api function rejects, and what the problem document says of it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from tests.events import golden
from tests.integration.api_calls import TEXT, UNKNOWN, rejected
from tests.integration.system import System


@pytest.mark.parametrize("body", ["x", "", "{", "NaN", '{"text": 1e999}', "[" * 1000 + "]" * 1000])
def test_what_is_not_json_is_400(system: System, body: str) -> None:
    rejected(system.predict(body, raw=True), 400)


def test_invalid_base64_is_400(system: System) -> None:
    rejected(system.call(golden("http_predict_base64") | {"body": "%%%"}), 400)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([1], "data must be object"),
        ({"text": ""}, "data.text"),
        ({"text": 5}, "data.text"),
        ({"text": "x" * 1001}, "data.text"),
        ({}, "text"),
        ({"text": "x", "threshold": 2}, "data.threshold"),
        ({"text": "x", "threshold": True}, "data.threshold"),
        ({"text": "x", "more": 1, "less": 2}, 'data must not have properties "less", "more".'),
        ("text", "data must be object"),
        (None, "data must be object"),
    ],
)
def test_what_violates_the_schema_is_422_and_the_field_is_named(system: System, body: Any, named: str) -> None:
    problem = rejected(system.predict(body), 422)
    assert named in problem["detail"]
    assert "'sentiment'" in problem["detail"]
    assert system.records() == {}


@pytest.mark.parametrize("text", ["\u20ac" * 1000, "\U0001f600" * 1000, "\ud800" * 1000])
def test_lengths_are_in_characters(system: System, text: str) -> None:
    assert system.predict({"text": text})["statusCode"] == 202
    rejected(system.predict({"text": text + "x"}), 422)


def test_five_megabytes_are_413(system: System) -> None:
    assert "POST /uploads" in rejected(system.predict({"text": "x" * 5_000_000}), 413)["detail"]
    rejected(system.predict_base64(b"x" * 5_000_000), 413)


def test_no_such_model_is_404(system: System) -> None:
    assert "sentiment, wordcount" in rejected(system.predict(TEXT, model="nope"), 404)["detail"]


def test_another_content_type_is_415(system: System) -> None:
    event = golden("http_predict")
    event["headers"]["content-type"] = "text/xml"
    rejected(system.call(event), 415)


def test_a_compressed_body_is_415_and_not_bad_json(system: System) -> None:
    event = golden("http_predict_base64") | {"body": base64.b64encode(gzip.compress(b'{"text":"fine"}')).decode()}
    event["headers"]["content-encoding"] = "gzip"
    assert "'gzip'" in rejected(system.call(event), 415)["detail"]


def test_a_crash_is_500_with_the_invocation_to_look_for(
    system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object) -> None:
        raise NameError("JsonSchemaValuesException")

    monkeypatch.setattr(system.api.service, "submit", crash)
    problem = rejected(system.predict(TEXT), 500)
    crashed, answered = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert problem["invocation_id"] == crashed["invocation_id"] == answered["invocation_id"]
    assert (crashed["event"], crashed["error"]) == ("unhandled_error", "NameError: JsonSchemaValuesException")
    assert "NameError" not in json.dumps(problem)
    assert answered["status"] == 500


def test_a_crash_names_the_request_that_was_asked_for(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise NameError("JsonSchemaValuesException")

    monkeypatch.setattr(system.api.service, "status", crash)
    problem = rejected(system.status(UNKNOWN), 500)
    assert (problem["request_id"], problem["type"]) == (UNKNOWN, "/problems/internal-error")


def test_a_route_that_the_api_has_not_is_404(system: System) -> None:
    rejected(system.call(golden("http_predict") | {"routeKey": "$default"}), 404)


@pytest.mark.parametrize("request_id", [UNKNOWN, "x", "x" * 3000, "\ud800", "..", "%00"])
def test_an_unknown_id_is_404(system: System, request_id: str) -> None:
    assert "no request with this id" in rejected(system.status(request_id), 404)["detail"]
    rejected(system.cancel(request_id), 404)
