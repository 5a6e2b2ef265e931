"""GET /status and POST /cancel: the way of a request to its end, and what a status says on it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from scripts.stack_defaults import CODE_DIGEST
from tests.events import golden
from tests.integration.api_calls import TEXT, rejected, waiting
from tests.integration.system import Sentiment, System, sentiment_of
from worker.model import progress


def test_a_request_gets_its_result_with_its_floats_intact(system: System) -> None:
    request_id = system.predict(TEXT | {"threshold": 0.25})["json"]["request_id"]
    before = system.status(request_id)
    assert (before["json"]["status"], before["headers"]["Retry-After"]) == ("pending", "1")
    assert system.run_worker() == []
    after = system.status(request_id)
    assert after["statusCode"] == 200
    assert "Retry-After" not in after["headers"]
    body = after["json"]
    assert (body["status"], body["attempts"], body["model_version"], body["error"]) == ("succeeded", 1, "1.0.0", None)
    assert (before["json"]["code_digest"], body["code_digest"]) == (None, CODE_DIGEST)
    assert body["result"] == sentiment_of(TEXT | {"threshold": 0.25})
    assert '"confidence": 0.30000000000000004' in after["body"]
    assert body["submitted_at"] <= body["started_at"] <= body["finished_at"] < body["expires_at"]
    assert system.messages() == 0


def test_a_status_that_waits(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    ask = golden("http_status") | {"pathParameters": {"request_id": request_id}}
    monkeypatch.setattr(system.api.service, "_pause", lambda _: system.run_worker())
    response = system.call(waiting(ask, 4))
    assert (response["json"]["status"], response["headers"]["Preference-Applied"]) == ("succeeded", "wait=4")
    assert "Preference-Applied" not in system.status(request_id)["headers"]


def test_a_status_is_sent_once(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]

    def ask(tag: str) -> dict[str, Any]:
        event = golden("http_status") | {"pathParameters": {"request_id": request_id}}
        event["headers"] |= {"if-none-match": tag}
        return system.call(event)

    pending = system.status(request_id)["headers"]
    assert pending["Cache-Control"] == "private, no-cache"
    same = ask(pending["ETag"])
    assert (same["statusCode"], same["json"], same["headers"]["Retry-After"]) == (304, None, "1")
    system.run_worker()
    changed = ask(pending["ETag"])
    assert (changed["statusCode"], changed["json"]["status"]) == (200, "succeeded")
    assert changed["headers"]["Cache-Control"] == "private, max-age=3600"
    assert ask(changed["headers"]["ETag"])["statusCode"] == 304


def test_a_status_query_is_logged_where_it_fails(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.status(system.predict(TEXT)["json"]["request_id"])
    system.status("unknown")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("POST /predict", 202),
        ("GET /status/{request_id}", 404),
    ]


def test_the_progress_of_a_running_request(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    shown: list[Any] = []

    class Reporting(Sentiment):
        def predict(self, inputs: list[Any]) -> Sequence[Any]:
            progress.report(0.4, "page 4")
            deadline = time.monotonic() + 10
            while system.status(request_id)["json"]["progress"] is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            shown.append(system.status(request_id)["json"])
            return super().predict(inputs)

    system.model = Reporting()
    assert system.run_worker() == []
    (running,) = shown
    assert (running["status"], running["progress"]) == ("running", {"fraction": 0.4, "message": "page 4"})
    assert system.status(request_id)["json"]["progress"] is None


# Cancel


def test_a_cancelled_request_is_never_computed(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    for _ in range(2):
        response = system.cancel(request_id)
        assert (response["statusCode"], response["json"]["status"]) == (200, "cancelled")
    assert system.run_worker() == []
    assert (system.model.passes, system.messages()) == ([], 0)
    assert system.status(request_id)["json"]["status"] == "cancelled"


def test_cancelling_what_is_final_is_409(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    system.run_worker()
    problem = rejected(system.cancel(request_id), 409)
    assert (problem["request_id"], problem["request_status"]) == (request_id, "succeeded")


# Time


def test_a_request_past_its_deadline_is_shown_as_expired_and_then_ends(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    system.clock.advance(86_400)
    shown = system.status(request_id)
    assert shown["json"]["status"] == "expired"
    assert "Retry-After" not in shown["headers"]
    assert system.run_worker() == []
    assert system.records()[request_id].status == "expired"
    assert system.model.passes == []


def test_a_request_past_its_retention_is_404_before_dynamodb_deletes_it(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    system.clock.advance(86_400 + 604_800 + 1)
    rejected(system.status(request_id), 404)
    assert request_id in system.records()
