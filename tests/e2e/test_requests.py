"""What a client gets: the HTTP contract, and many requests at once, each exactly once."""

from __future__ import annotations

import base64
import collections
import json
from concurrent.futures import ThreadPoolExecutor

from tests import openapi
from tests.e2e.conftest import Addition
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api, Response

POSITIVE = "I love this airline, best crew ever"
NEGATIVE = "worst delay of my life, never again"
REQUESTS = 300
CLIENTS = 16


def as_documented(route: str, response: Response) -> None:
    openapi.check(route, response.status, response.headers, response.body, gateway=True)


def test_a_request_is_accepted_and_succeeds(api: Api) -> None:
    response = api.submit({"text": POSITIVE})
    assert response.status == 202
    assert response.body["status"] == "pending"
    assert response.body["model"] == "sentiment"
    assert response.headers["location"] == response.body["poll_url"] == f"/status/{response.body['request_id']}"
    assert int(response.headers["retry-after"]) >= 1
    as_documented("POST /predict", response)
    outcome = api.outcome(response.body["request_id"])
    as_documented("GET /status/{request_id}", api.status(response.body["request_id"]))
    assert outcome["status"] == "succeeded"
    assert outcome["result"]["prediction"] == "positive"
    assert outcome["result"]["confidence"] > 0.5
    assert outcome["attempts"] == 1
    assert outcome["error"] is None
    assert outcome["submitted_at"] <= outcome["started_at"] <= outcome["finished_at"]


def test_a_request_tells_the_digest_of_the_code_that_ran_it(api: Api, deployment: Deployment) -> None:
    outcome = api.outcome(api.accepted({"text": POSITIVE}, model="sentiment"))
    function = deployment.output("function_names")["worker/sentiment"]
    deployed = deployment.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
    assert outcome["code_digest"] == f"sha256:{base64.b64decode(deployed['CodeSha256']).hex()}"


def test_a_negative_text(api: Api) -> None:
    outcome = api.outcome(api.accepted({"text": NEGATIVE}, model="sentiment"))
    assert outcome["result"]["prediction"] == "negative"


def test_a_status_right_after_the_submit_is_found(api: Api) -> None:
    for _ in range(20):
        assert api.status(api.accepted({"text": POSITIVE})).status == 200


def test_a_body_without_a_content_type_arrives_base64_and_is_read(api: Api) -> None:
    # What `curl -d` sends: HTTP API encodes whatever is neither text nor JSON.
    response = api.call("POST", "/predict", b'{"text":"fine"}', content_type="application/x-www-form-urlencoded")
    assert response.status == 202


def test_rejections(api: Api) -> None:
    form = "application/x-www-form-urlencoded"
    cases = {
        b"x": 400,
        b"[1]": 422,
        b'{"text":""}': 422,
        b'{"text":"a","threshold":NaN}': 400,
        json.dumps({"text": "a" * 4_600_000}).encode(): 413,
    }
    for body, status in cases.items():
        response = api.call("POST", "/predict", body, content_type=form)
        assert response.status == status, (body[:40], response)
        assert response.headers["content-type"] == "application/problem+json"
        as_documented("POST /predict", response)
    assert "text" in api.submit({"text": ""}).body["detail"]
    assert api.call("POST", "/predict", b"{}", content_type="image/png").status == 415
    unknown = "00000000-0000-4000-8000-000000000000"
    for route, response, problem in (
        ("POST /predict/{model}", api.submit({"text": "a"}, model="nothing"), "unknown-model"),
        ("GET /status/{request_id}", api.status(unknown), "unknown-request"),
        ("POST /cancel/{request_id}", api.call("POST", f"/cancel/{unknown}", b""), "unknown-request"),
    ):
        as_documented(route, response)
        assert response.body["type"] == f"/problems/{problem}"


def test_the_second_model_answers_by_its_name(api: Api, addition: Addition) -> None:
    outcome = api.outcome(api.accepted({"text": "one two three"}, model="wordcount"))
    assert outcome["status"] == "succeeded"
    assert outcome["model"] == "wordcount"
    assert outcome["result"] == {"words": 3}


def test_hundreds_at_once_each_succeeds_exactly_once(api: Api, addition: Addition) -> None:
    """Each request has a count of its own, so that a mixed-up result would be seen."""
    counts = [1 + number % 40 for number in range(REQUESTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = list(pool.map(lambda count: api.accepted({"text": "word " * count}, model="wordcount"), counts))
        outcomes = list(pool.map(api.outcome, ids))
    assert len(set(ids)) == REQUESTS
    assert collections.Counter(outcome["status"] for outcome in outcomes) == {"succeeded": REQUESTS}
    assert [outcome["result"]["words"] for outcome in outcomes] == counts
    assert {outcome["attempts"] for outcome in outcomes} == {1}
