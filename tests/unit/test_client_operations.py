"""The Python client's plans: what is repeated and with which key, how polls are paced, when it gives up."""

from __future__ import annotations

import json
import ssl
from typing import Any

import httpx2
import pytest

from async_inference_client import errors
from async_inference_client._operations import OUTAGE_SECONDS, REQUEST_TIMEOUT_SECONDS, SHORTEST_CALL_SECONDS
from async_inference_client._pauses import Pauses
from async_inference_client.models import Accepted
from inference.errors import AlreadyFinal, InvalidInput, RequestError, Unavailable, UnknownRequest
from inference.http.problems import PROBLEMS
from inference.http.sync_problems import SYNC_PROBLEMS
from tests.unit.client_plans import RESET, THROTTLED, Answer, Runner, accepted, document, problem, response, status

SHORTEST = Pauses(lambda low, high: low)


@pytest.mark.parametrize("trouble", [problem(Unavailable), problem(), THROTTLED, RESET, response(502), response(504)])
def test_a_submit_is_repeated_with_the_same_key(trouble: Answer) -> None:
    runner = Runner([trouble, accepted()])
    found = runner.run(runner.operations().submit({"text": "é"}, model="a/b"))
    first, second = runner.calls
    assert first == second
    assert (first.method, first.path, first.content) == ("POST", "/predict/a%2Fb", '{"text":"é"}'.encode())
    assert first.headers["Idempotency-Key"] == f'"{found.idempotency_key}"'
    assert (found.request_id, found.model, found.retry_after) == ("r1", "m", 1.0)


def test_a_webhook_is_named_in_the_submit_where_there_is_one() -> None:
    for webhook in (None, "https://example.com/hook"):
        runner = Runner([accepted()])
        runner.run(runner.operations().submit(1, webhook=webhook))
        assert runner.calls[0].headers.get("Webhook-URL") == webhook


def test_each_submit_has_a_key_of_its_own_unless_it_is_given() -> None:
    runner = Runner(lambda _: accepted())
    for key in (None, None, 'a"b\\'):
        runner.run(runner.operations().submit(1, idempotency_key=key))
    keys = [call.headers["Idempotency-Key"] for call in runner.calls]
    assert len(set(keys)) == 3
    assert keys[2] == r'"a\"b\\"', "a String of RFC 8941"


@pytest.mark.parametrize("key", ["", "ü", "a\nb"])
def test_a_key_that_no_header_can_hold_is_rejected_before_anything_is_sent(key: str) -> None:
    runner = Runner([])
    with pytest.raises(ValueError, match="printable ASCII"):
        runner.run(runner.operations().submit(1, idempotency_key=key))


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, "\ud800", {"a": object()}])
def test_what_is_not_json_is_not_sent(value: Any) -> None:
    runner = Runner([])
    with pytest.raises(errors.UnencodableInput, match="can't be sent as JSON"):
        runner.run(runner.operations().submit(value))


@pytest.mark.parametrize("error", [error for error in PROBLEMS if issubclass(error, RequestError)])
def test_a_rejection_is_raised_by_its_type_at_once(error: type[RequestError]) -> None:
    runner = Runner([problem(error)])
    with pytest.raises(errors.PROBLEMS[PROBLEMS[error].type], match=f"because {PROBLEMS[error].status}") as raised:
        runner.run(runner.operations().submit(1))
    assert isinstance(raised.value, errors.Problem)
    assert not raised.value.retryable
    assert raised.value.status == PROBLEMS[error].status
    assert runner.pauses == []


def test_the_client_knows_every_problem_of_the_api_and_which_may_pass() -> None:
    sync = {problem.type for problem in SYNC_PROBLEMS.values()}
    assert set(errors.PROBLEMS) == {problem.type for problem in PROBLEMS.values()} | sync
    passing = {problem.type for error, problem in PROBLEMS.items() if not issubclass(error, RequestError)}
    passing |= {problem.type for problem in SYNC_PROBLEMS.values() if "Retry-After" in problem.headers}
    assert {kind for kind, problem in errors.PROBLEMS.items() if problem.retryable} == passing


def test_a_synchronous_prediction_is_one_call() -> None:
    runner = Runner([response(200, {"model": "m", "model_version": "1.0.0", "result": {"words": 2}})])
    found = runner.run(runner.operations().predict_sync({"text": "é"}, model="a/b"))
    assert (found.model, found.model_version, found.result) == ("m", "1.0.0", {"words": 2})
    (call,) = runner.calls
    assert (call.method, call.path, call.content) == ("POST", "/models/a%2Fb/predict", '{"text":"é"}'.encode())


@pytest.mark.parametrize("code", SYNC_PROBLEMS)
def test_why_there_is_no_synchronous_prediction(code: str) -> None:
    known = SYNC_PROBLEMS[code]
    body = {"type": known.type, "title": known.title, "status": known.status, "async_url": "/predict/m"}
    runner = Runner([response(known.status, body)])
    with pytest.raises(errors.PROBLEMS[known.type]) as raised:
        runner.run(runner.operations().predict_sync(1, model="m"))
    assert (raised.value.async_url, len(runner.calls)) == ("/predict/m", 1), "nothing is repeated"


def test_a_success_of_something_else_is_no_prediction() -> None:
    runner = Runner([response(200, {"status": "ok"})])
    with pytest.raises(errors.ResponseError, match="a result was expected"):
        runner.run(runner.operations().predict_sync(1, model="m"))


def test_a_type_counts_and_not_a_status() -> None:
    unknown = response(503, {"type": "/problems/closed", "title": "Closed"})
    runner = Runner([unknown, response(404, {"message": "Not Found"})])
    with pytest.raises(errors.Problem, match="503 Closed"):
        runner.run(runner.operations().submit(1))
    with pytest.raises(errors.GatewayError, match="is the URL right"):
        runner.run(runner.operations().get("r1"))
    assert len(runner.calls) == 2


@pytest.mark.parametrize("key", ["retry_seconds", "deadline"])
def test_a_submit_is_given_up_in_its_time(key: str) -> None:
    runner = Runner(lambda _: problem(Unavailable))
    if key == "deadline":
        plan = runner.operations(300).submit(1, deadline=runner.now + 20)
    else:
        plan = runner.operations(20).submit(1)
    with pytest.raises(errors.Unavailable):
        runner.run(plan)
    assert 15 < runner.passed <= 20


def test_no_retry_means_one_try_with_the_whole_timeout() -> None:
    runner = Runner([RESET])
    with pytest.raises(errors.ConnectionFailed, match="reset"):
        runner.run(runner.operations(0).get("r1"))
    assert [call.timeout for call in runner.calls] == [30.0]


def test_throttling_may_be_given_more_time() -> None:
    for trouble, seconds in ((THROTTLED, 100.0), (RESET, 30.0)):
        runner = Runner(lambda _, trouble=trouble: trouble)
        with pytest.raises(errors.InferenceError):
            runner.run(runner.operations(30).submit(1, throttled_seconds=100))
        assert seconds - 15 < runner.passed <= seconds


def test_while_one_submit_is_throttled_the_clients_others_pause_too_as_long_as_they_may() -> None:
    runner = Runner([response(503, {"message": "x"}, retry_after="5"), accepted(), accepted(), accepted()])
    operations = runner.operations(pauses=SHORTEST)
    with pytest.raises(errors.GatewayError):
        runner.run(operations.submit(1, retry_seconds=0))
    assert runner.pauses == []
    for retry_seconds in (0, 2, 30):
        runner.run(operations.submit(1, retry_seconds=retry_seconds))
    assert runner.pauses == [2.0, 3.0], "0: at once; 2: for 2 s; 30: until it may"


def test_a_wait_may_poll_at_a_pace_of_its_own() -> None:
    runner = Runner([status("pending", "9"), status("running"), status("succeeded")])
    runner.run(runner.operations().wait("r1", poll_seconds=0.15))
    assert runner.pauses == [0.15, 0.15]


def refused() -> httpx2.ConnectError:
    error = httpx2.ConnectError("All connection attempts failed")
    attempts = ExceptionGroup("attempts", [ConnectionRefusedError(111, "refused")])
    error.__cause__ = OSError("All connection attempts failed")
    error.__cause__.__cause__ = attempts
    return error


def test_nobody_listening_is_said_at_once_but_a_wait_goes_on() -> None:
    runner = Runner([refused()])
    with pytest.raises(errors.ConnectionFailed) as raised:
        runner.run(runner.operations().submit(1))
    assert raised.value.refused
    assert raised.value.__cause__ is not None
    runner = Runner([refused(), status("succeeded")])
    assert runner.run(runner.operations().wait("r1")).final


def test_an_untrusted_certificate_is_not_tried_again() -> None:
    error = httpx2.ConnectError("certificate verify failed")
    error.__cause__ = ssl.SSLCertVerificationError("certificate verify failed")
    for plan in ("submit", "get", "wait"):
        runner = Runner([error])
        with pytest.raises(errors.ConnectionFailed, match="certificate") as raised:
            runner.run(getattr(runner.operations(), plan)("r1"))
        assert not raised.value.retryable


def test_polls_are_paced_by_the_api() -> None:
    answers = [status("pending", "1"), status("running", "7"), status("running"), status("succeeded", result=3)]
    runner = Runner(answers)
    seen: list[str] = []
    found = runner.run(runner.operations(pauses=SHORTEST).wait("r/1", on_status=lambda r: seen.append(r.status)))
    assert runner.pauses == [1.0, 7.0, 1.0]
    assert seen == ["pending", "running", "running", "succeeded"]
    assert found.unwrap() == 3
    assert {call.path for call in runner.calls} == {"/status/r%2F1"}


def test_a_wait_survives_passing_troubles() -> None:
    runner = Runner([RESET, problem(Unavailable), THROTTLED, status("succeeded")])
    assert runner.run(runner.operations().wait("r1", timeout=60)).status == "succeeded"


def test_a_wait_ends_at_its_deadline_after_a_last_poll() -> None:
    runner = Runner(lambda _: status("running", "30"))
    with pytest.raises(errors.WaitTimeout, match="r1 is not final after 45 s; it continues") as raised:
        runner.run(runner.operations().wait("r1", timeout=45))
    assert raised.value.request_id == "r1"
    assert runner.passed == 45
    assert runner.called_at[-1] == runner.now
    assert runner.calls[-1].timeout == SHORTEST_CALL_SECONDS


def test_a_wait_without_a_timeout_ends_after_an_outage_but_not_by_failures_far_apart() -> None:
    runner = Runner(lambda _: RESET)
    with pytest.raises(errors.ConnectionFailed) as raised:
        runner.run(runner.operations().wait("r1"))
    assert raised.value.request_id == "r1"
    assert OUTAGE_SECONDS <= runner.passed < OUTAGE_SECONDS + 20
    runner = Runner([status("pending", "600"), RESET, status("pending", "600"), RESET, status("succeeded")])
    assert runner.run(runner.operations().wait("r1")).final


def test_what_is_gone_is_not_asked_for_again() -> None:
    runner = Runner([status("pending"), problem(UnknownRequest)])
    with pytest.raises(errors.UnknownRequest) as raised:
        runner.run(runner.operations().wait("r1"))
    assert raised.value.request_id == "r1"


def test_the_id_is_there_before_any_waiting() -> None:
    runner = Runner([accepted(retry_after="3"), status("succeeded", result=1)])
    told: list[Accepted] = []

    def on_accepted(found: Accepted) -> None:
        assert runner.pauses == []
        told.append(found)

    plan = runner.operations(pauses=SHORTEST).await_outcome(1, on_accepted=on_accepted)
    assert runner.run(plan).unwrap() == 1
    assert [found.request_id for found in told] == ["r1"]
    assert runner.pauses == [3.0]


def test_a_poll_asks_the_api_to_answer_when_the_request_is_final() -> None:
    runner = Runner([accepted(), status("running", "2"), status("succeeded", result=1)])
    plan = runner.operations(pauses=SHORTEST, wait_seconds=10).await_outcome(1)
    assert runner.run(plan).unwrap() == 1
    assert [call.headers.get("Prefer") for call in runner.calls] == [None, "wait=10", "wait=10"], "the id comes first"
    assert [call.timeout for call in runner.calls[1:]] == [REQUEST_TIMEOUT_SECONDS + 10] * 2
    assert runner.pauses == [2.0], "the first poll is at once; the API names the time of the others"


def test_no_poll_asks_for_a_wait_past_the_deadline_or_at_a_pace_of_its_own() -> None:
    runner = Runner(lambda _: status("running", "4"))
    with pytest.raises(errors.WaitTimeout):
        runner.run(runner.operations(pauses=SHORTEST, wait_seconds=10).wait("r1", timeout=9))
    assert [call.headers.get("Prefer") for call in runner.calls] == ["wait=8", "wait=4", None, None]
    runner = Runner([status("pending"), status("succeeded")])
    runner.run(runner.operations(wait_seconds=10).wait("r1", poll_seconds=0.1))
    assert {call.headers.get("Prefer") for call in runner.calls} == {None}


def test_one_timeout_is_for_submit_and_wait_together() -> None:
    answers = [RESET] * 3 + [accepted()] + [status("pending", "5")] * 99
    runner = Runner(answers, seconds_per_call=1.0)
    with pytest.raises(errors.WaitTimeout, match="after 20 s"):
        runner.run(runner.operations().await_outcome(1, timeout=20))
    assert 20 <= runner.passed <= 22


@pytest.mark.parametrize(
    ("value", "error"),
    [("failed", errors.RequestFailed), ("cancelled", errors.RequestCancelled), ("expired", errors.RequestExpired)],
)
def test_an_end_without_a_result_is_an_error_with_the_request(
    value: str, error: type[errors.RequestNotSucceeded]
) -> None:
    why = {"code": "model_error", "message": "boom", "attempt": 2}
    runner = Runner([accepted(), status(value, error=why)])
    found = runner.run(runner.operations().await_outcome(1))
    with pytest.raises(error, match=f"request r1 {value}: model_error: boom") as raised:
        found.unwrap()
    assert raised.value.request.error == found.error
    assert (found.error.code, found.error.attempt) == ("model_error", 2)


def test_a_cancel_is_repeated_and_its_conflict_says_how_the_request_ended() -> None:
    conflict = response(409, json.loads(problem(AlreadyFinal).content) | {"request_status": "failed"})
    runner = Runner([RESET, status("cancelled"), conflict])
    assert runner.run(runner.operations().cancel("r1")).status == "cancelled"
    assert {(call.method, call.path) for call in runner.calls} == {("POST", "/cancel/r1")}
    with pytest.raises(errors.AlreadyFinal) as raised:
        runner.run(runner.operations().cancel("r1"))
    assert raised.value.request_status == "failed"


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>", request=httpx2.Request("GET", "https://api.test/status/r1")),
        response(200, [1]),
        response(200, {"status": "pending"}),
        response(200, document("pending", submitted_at="yesterday")),
    ],
)
def test_another_services_success_is_an_error(answer: httpx2.Response) -> None:
    runner = Runner([answer])
    with pytest.raises(errors.ResponseError, match="is not an answer of the inference API"):
        runner.run(runner.operations().get("r1"))


def test_a_202_without_an_id_is_an_error() -> None:
    for answer in (response(202, {}), response(200, {"request_id": "r1"})):
        runner = Runner([answer])
        with pytest.raises(errors.ResponseError, match="202 and a request_id"):
            runner.run(runner.operations().submit(1))


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (500, {"message": "Internal Server Error"}, "gateway request g1; the api function failed"),
        (403, {"message": "Forbidden"}, "403 Forbidden .*does the call have a signature"),
        (429, {"message": "Too Many Requests"}, "throttling"),
        (413, {"message": None}, "413 without a text .*no body of this size"),
    ],
)
def test_a_gateways_error_says_what_is_known(code: int, body: Any, said: str) -> None:
    runner = Runner([response(code, body, apigw_requestid="g1")])
    with pytest.raises(errors.GatewayError, match=said) as raised:
        runner.run(runner.operations(0).submit(InvalidInput.__name__))
    assert (raised.value.status, raised.value.body) == (code, body)
