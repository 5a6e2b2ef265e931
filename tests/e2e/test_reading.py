"""What a client reads beside a result: health, models, lists, progress; and calls that wait."""

from __future__ import annotations

import uuid

from tests.e2e.conftest import Addition
from tests.e2e.http_client import FINAL, Api, Response
from tests.e2e.test_requests import POSITIVE, as_documented
from tests.e2e.waiting import eventually


def test_health(api: Api) -> None:
    response = api.call("GET", "/health")
    as_documented("GET /health", response)
    assert response.body["status"] == "ok"
    assert response.body["version"].isdecimal(), "a published version"
    assert "sentiment" in response.body["models"]


def test_the_example_of_a_model_is_accepted(api: Api) -> None:
    models = api.call("GET", "/models")
    as_documented("GET /models", models)
    (default,) = (model for model in models.body["models"] if model["default"])
    model = api.call("GET", f"/models/{default['name']}")
    as_documented("GET /models/{model}", model)
    outcome = api.outcome(api.accepted(model.body["example"], model=default["name"]))
    assert outcome["status"] == "succeeded"
    assert outcome["model_version"] == default["version"]


def test_a_submit_that_waits_has_the_result(api: Api) -> None:
    api.outcome(api.accepted({"text": POSITIVE}))  # the worker is warm
    response = api.submit({"text": POSITIVE}, prefer="wait=10")
    as_documented("POST /predict", response)
    assert (response.status, response.headers["preference-applied"]) == (200, "wait=10")
    assert (response.body["status"], response.body["result"]["prediction"]) == ("succeeded", "positive")


def test_a_status_that_waits_and_its_tag(api: Api) -> None:
    request_id = api.accepted({"text": POSITIVE})
    response = api.call("GET", f"/status/{request_id}", prefer="wait=10")
    as_documented("GET /status/{request_id}", response)
    assert response.body["status"] == "succeeded"
    again = api.call("GET", f"/status/{request_id}", if_none_match=response.headers["etag"])
    as_documented("GET /status/{request_id}", again)
    assert (again.status, again.body) == (304, None)


def test_pages_of_the_list_stay_while_new_requests_come(api: Api) -> None:
    made = [api.accepted({"text": f"{POSITIVE} {number}"}) for number in range(5)][::-1]
    for request_id in made:
        api.outcome(request_id)
    found: list[str] = []
    url = "/requests?limit=2&status=succeeded"
    while not set(made) <= set(found):
        page = api.call("GET", url)
        as_documented("GET /requests", page)
        found += [each["request_id"] for each in page.body["requests"]]
        api.outcome(api.accepted({"text": POSITIVE}))
        url = page.body["next"]
        assert url, f"not all of {made} are in {found}"
    assert len(found) == len(set(found))
    assert [request_id for request_id in found if request_id in made] == made


def test_a_query_that_is_not_valid(api: Api) -> None:
    response = api.call("GET", "/requests?limit=0")
    as_documented("GET /requests", response)
    assert (response.status, response.body["type"]) == (400, "/problems/invalid-query")


def test_progress_is_seen_until_the_request_is_final(api: Api, addition: Addition) -> None:
    request_id = api.accepted({"text": f"report {uuid.uuid4()}", "work_ms": 2000}, model="deliveries")

    def reported() -> Response | None:
        response = api.status(request_id)
        return response if response.body["progress"] or response.body["status"] in FINAL else None

    response = eventually("progress is reported", 30, reported)
    assert response is not None
    as_documented("GET /status/{request_id}", response)
    progress = {"fraction": 0.5, "message": "half of the work"}
    assert (response.body["status"], response.body["progress"]) == ("running", progress)
    outcome = api.outcome(request_id)
    assert (outcome["status"], outcome["progress"], outcome["attempts"]) == ("succeeded", None, 1)
