"""The api function with golden events: what the HTTP contract promises, and the way of a request to its result."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from inference.store.request_queue import RequestQueue
from scripts.stack_defaults import CODE_DIGEST
from tests.events import golden
from tests.integration.system import Sentiment, System, calls_of, sentiment_of
from tests.integration.terraform_definition import MAX_RECEIVE_COUNT
from worker.model import progress

UNKNOWN = "6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"
TEXT = {"text": "worst delay of my life, never again"}


def rejected(response: dict[str, Any], status: int) -> Any:
    """The problem document of a rejection, checked."""
    assert response["statusCode"] == status
    assert response["headers"]["content-type"] == "application/problem+json"
    problem = response["json"]
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


# Accepted


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


def test_a_status_query_is_logged_where_it_fails(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.status(system.predict(TEXT)["json"]["request_id"])
    system.status("unknown")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("POST /predict", 202),
        ("GET /status/{request_id}", 404),
    ]


# Waiting


def waiting(event: dict[str, Any], seconds: int, **headers: str) -> dict[str, Any]:
    event["headers"] |= {"prefer": f"wait={seconds}", **headers}
    return event


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


def test_retry_after_follows_from_what_other_requests_took(system: System) -> None:
    for _ in range(3):
        request_id = system.predict(TEXT)["json"]["request_id"]
        system.clock.advance(7)
        system.run_worker()
        system.status(request_id)
    assert system.predict(TEXT)["headers"]["Retry-After"] in ("7", "8")


# Progress


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


# Lists


def test_a_caller_pages_through_its_requests(system: System) -> None:
    made: list[str] = []
    for _ in range(5):
        made.insert(0, system.predict(TEXT)["json"]["request_id"])
        system.clock.advance(0.002)
    found: list[list[str]] = []
    url = "/requests?limit=2"
    while url:
        answer = system.requests(url)["json"]
        found.append([each["request_id"] for each in answer["requests"]])
        url = answer["next"]
        system.predict(TEXT)
    assert found == [made[:2], made[2:4], made[4:]]


def test_a_list_has_no_results_and_says_where_they_are(system: System) -> None:
    with calls_of(system) as calls:
        request_id = system.predict(TEXT)["json"]["request_id"]
        system.run_worker()
        calls.clear()
        (listed,) = system.requests()["json"]["requests"]
        assert calls == ["Query", "BatchGetItem"]
    shown = system.status(request_id)["json"]
    assert shown.pop("result")
    assert shown.pop("files") == []
    assert listed == {**shown, "poll_url": f"/status/{request_id}"}


def test_filters_of_a_list(system: System) -> None:
    counted = system.predict({"text": "a b"}, model="wordcount")["json"]["request_id"]
    judged = system.predict(TEXT)["json"]["request_id"]
    system.cancel(judged)

    def found(query: str) -> list[str]:
        return [each["request_id"] for each in system.requests(f"/requests?{query}")["json"]["requests"]]

    assert found("status=pending") == found("model=wordcount") == [counted]
    assert found("status=cancelled,failed") == found("status=cancelled&model=sentiment") == [judged]
    assert found("status=running") == found("model=gone") == []


def test_callers_list_their_own_requests_whatever_cursor_they_send(system: System) -> None:
    alice = [system.call(_as("alice", golden("http_predict")))["json"]["request_id"] for _ in range(2)]
    bob = system.call(_as("bob", golden("http_predict")))["json"]["request_id"]

    def listed(user: str, **query: str) -> Any:
        return system.call(_as(user, golden("http_requests")) | {"queryStringParameters": query})["json"]

    page = listed("alice", limit="1")
    cursor = page["next"].partition("cursor=")[2]
    assert [each["request_id"] for each in listed("bob")["requests"]] == [bob]
    assert all(each["request_id"] not in alice for each in listed("bob", cursor=cursor)["requests"])
    assert {each["request_id"] for each in [*page["requests"], *listed("alice", cursor=cursor)["requests"]]} == {*alice}


# Models and health


def test_the_models_and_one_with_its_schemas(system: System) -> None:
    with calls_of(system) as calls:
        models = system.call(golden("http_models"))["json"]["models"]
        model = system.call(golden("http_model"))["json"]
    assert [(each["name"], each["default"]) for each in models] == [("sentiment", True), ("wordcount", False)]
    assert model.items() >= models[0].items()
    assert model["input_schema"]["required"] == ["text"]
    assert calls == []
    assert system.predict(model["example"])["statusCode"] == 202
    rejected(system.call(golden("http_model") | {"pathParameters": {"model": "nope"}}), 404)


def test_health_is_for_everybody_and_shows_no_setting(system: System) -> None:
    with calls_of(system) as calls:
        response = system.call(golden("http_health"))
    assert response["json"] == {
        "status": "ok",
        "version": "local",
        "models": {"sentiment": "1.0.0", "wordcount": "1.0.0"},
    }
    assert calls == []


# Rejected


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


def _as(user: str, event: dict[str, Any]) -> dict[str, Any]:
    event["requestContext"]["authorizer"] = {"iam": {"userArn": f"arn:aws:iam::123456789012:user/{user}"}}
    return event


def test_callers_do_not_see_each_others_requests_or_keys(system: System) -> None:
    def submit(user: str) -> str:
        event = _as(user, golden("http_predict"))
        event["headers"]["idempotency-key"] = "k-1"
        request_id: str = system.call(event)["json"]["request_id"]
        return request_id

    alice, bob = submit("alice"), submit("bob")
    assert alice != bob
    ask = golden("http_status") | {"pathParameters": {"request_id": alice}}
    assert system.call(_as("alice", dict(ask)))["statusCode"] == 200
    rejected(system.call(_as("bob", json.loads(json.dumps(ask)))), 404)
    rejected(system.status(alice), 404)
    rejected(system.cancel(alice), 404)


def _signed_by(arn: str, event: dict[str, Any]) -> dict[str, Any]:
    event["requestContext"]["authorizer"] = {"iam": {"userArn": arn, "cognitoIdentity": None}}
    return event


def test_a_new_session_of_a_role_has_its_requests_and_keys(system: System) -> None:
    role = "arn:aws:sts::123456789012:assumed-role/app/"
    submits = [_signed_by(role + session, golden("http_predict")) for session in ("botocore-1", "botocore-2")]
    for event in submits:
        event["headers"]["idempotency-key"] = "k-1"
    first, second = [system.call(event)["json"]["request_id"] for event in submits]
    assert first == second
    ask = golden("http_status") | {"pathParameters": {"request_id": first}}
    assert system.call(_signed_by(role + "botocore-3", ask))["statusCode"] == 200
    rejected(system.call(_signed_by("arn:aws:sts::123456789012:assumed-role/other/botocore-1", ask)), 404)


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


# The ends that no worker writes


def test_an_undelivered_message_makes_its_request_failed(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    # Deliveries without a worker, until SQS moves the message to the dead-letter queue.
    for _ in range(MAX_RECEIVE_COUNT + 1):
        system.receive("sentiment")
        system.time_passes(0)
    assert (system.messages("sentiment"), system.messages("dlq")) == (0, 1)
    system.run_dead_letters()
    body = system.status(request_id)["json"]
    assert (body["status"], body["error"]["code"]) == ("failed", "undelivered")
    assert system.messages("dlq") == 0
    (kept,) = system.table.failed_with_input()
    assert json.loads(kept.input or "") == TEXT | {"threshold": 0.5}


def test_a_lost_message_makes_its_request_failed(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    system.settle("sentiment", system.receive("sentiment"), failed=[])
    assert system.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 0, "seen": 0}
    system.clock.advance(901)
    assert system.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 1, "seen": 1}
    system.clock.advance(60)
    assert system.sweep() == {"expired": 0, "lost": 1, "model_removed": 0, "possibly_lost": 0, "seen": 1}
    assert system.status(request_id)["json"]["error"]["code"] == "lost"
    assert system.sweep()["seen"] == 0


def test_a_keyed_submit_that_died_is_accepted_again_after_its_request_was_lost(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(RequestQueue, "send", die)
        system.predict(TEXT, key="k")
    for _ in range(2):
        system.clock.advance(1000)
        system.sweep()
    (lost,) = system.call(golden("http_requests") | {"queryStringParameters": {}})["json"]["requests"]
    assert (lost["status"], lost["error"]["code"]) == ("failed", "lost")
    again = system.predict(TEXT, key="k")
    assert (again["statusCode"], again["json"]["request_id"]) == (202, lost["request_id"])
    system.run_worker()
    final = system.status(lost["request_id"])["json"]
    assert (final["status"], final["attempts"], final["error"]) == ("succeeded", 1, None)
    assert system.predict(TEXT, key="k")["json"]["request_id"] == lost["request_id"]
    system.run_worker()
    assert system.status(lost["request_id"])["json"] == final


def test_a_message_that_is_waiting_loses_nothing(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    system.clock.advance(901)
    assert system.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 0, "seen": 1}
    system.run_worker()
    assert system.status(request_id)["json"]["status"] == "succeeded"
