"""POST /predict with golden events: what is accepted, with and without a key, and what it calls and logs."""

from __future__ import annotations

import json

import pytest

from tests.events import golden
from tests.integration.api_calls import TEXT, rejected, waiting
from tests.integration.system import System, calls_of


def test_a_golden_event_is_accepted(system: System) -> None:
    response = system.call(golden("http_predict"))
    body = response["json"]
    assert response["statusCode"] == 202
    assert body == {
        "request_id": body["request_id"],
        "status": "pending",
        "model": "sentiment",
        "poll_url": f"/status/{body['request_id']}",
    }
    assert response["headers"]["Location"] == body["poll_url"]
    assert response["headers"]["Retry-After"] == "1"
    assert system.messages() == 1


def test_curls_body_without_a_content_type_arrives_as_base64(system: System) -> None:
    assert system.call(golden("http_predict_base64"))["statusCode"] == 202


def test_a_model_by_its_name_goes_to_its_queue(system: System) -> None:
    assert system.call(golden("http_predict_model"))["json"]["model"] == "sentiment"
    assert system.predict({"text": "a b"}, model="wordcount")["json"]["model"] == "wordcount"
    assert (system.messages("sentiment"), system.messages("wordcount")) == (1, 1)


def test_defaults_of_the_schema_reach_the_model(system: System) -> None:
    system.predict(TEXT)
    system.run_worker()
    assert system.model.passes == [[TEXT | {"threshold": 0.5}]]


def test_the_calls_of_a_submit_a_poll_and_a_cancel(system: System) -> None:
    with calls_of(system) as calls:
        request_id = system.predict(TEXT)["json"]["request_id"]
        assert calls == ["PutItem", "SendMessage"]
        calls.clear()
        system.status(request_id)
        assert calls == ["GetItem"]
        calls.clear()
        system.cancel(request_id)
        assert calls == ["GetItem", "UpdateItem"]
        calls.clear()
        system.predict({"text": ""})
        assert calls == []


def test_every_line_of_the_log_is_json_and_names_its_request(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    (answered,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (answered["event"], answered["status"], answered["route"]) == ("response_sent", 202, "POST /predict")
    assert (answered["request_id"], answered["model"]) == (request_id, "sentiment")
    assert answered["invocation_id"].startswith("invocation-")


def test_a_submit_that_waits_has_the_result(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.api.service, "_pause", lambda _: system.run_worker())
    response = system.call(waiting(golden("http_predict"), 30))
    assert response["statusCode"] == 200
    assert response["headers"]["Preference-Applied"] == "wait=10"
    assert response["headers"]["cache-control"] == "no-store"
    body = response["json"]
    assert (body["status"], response["headers"]["Location"]) == ("succeeded", f"/status/{body['request_id']}")
    assert body == system.status(body["request_id"])["json"]


def test_a_submit_whose_wait_is_over_is_accepted_as_any(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.api.service, "_pause", lambda seconds: system.clock.advance(seconds))
    with calls_of(system) as calls:
        response = system.call(waiting(golden("http_predict"), 1))
    assert (response["statusCode"], response["headers"]["Preference-Applied"]) == (202, "wait=1")
    assert calls[:2] == ["PutItem", "SendMessage"]
    assert set(calls[2:]) == {"GetItem"}
    assert 5 <= len(calls) <= 15


def test_retry_after_follows_from_what_other_requests_took(system: System) -> None:
    for _ in range(3):
        request_id = system.predict(TEXT)["json"]["request_id"]
        system.clock.advance(7)
        system.run_worker()
        system.status(request_id)
    assert system.predict(TEXT)["headers"]["Retry-After"] in ("7", "8")


# Repeats


def test_a_repeat_with_a_key_gets_the_same_answer(system: System) -> None:
    first = system.predict(TEXT, key="k-1")
    assert first["statusCode"] == 202
    again = system.predict(TEXT, key="k-1")
    assert (again["statusCode"], again["body"]) == (202, first["body"])
    assert system.messages() == 1
    system.run_worker()
    after = system.predict(TEXT, key="k-1")
    assert (after["statusCode"], after["body"]) == (202, first["body"])
    assert system.messages() == 0


def test_a_key_with_another_input_is_422_and_names_the_request(system: System) -> None:
    first = system.predict(TEXT, key="k-1")["json"]["request_id"]
    problem = rejected(system.predict({"text": "other"}, key="k-1"), 422)
    assert problem["request_id"] == first
    rejected(system.predict(TEXT, key="k-1", model="wordcount"), 422)


def test_a_bad_key_is_400(system: System) -> None:
    rejected(system.predict(TEXT, key=""), 400)
    rejected(system.predict(TEXT, key="x" * 256), 400)
