"""GET /requests, GET /models and GET /health."""

from __future__ import annotations

from tests.events import golden
from tests.integration.api_calls import TEXT, rejected
from tests.integration.system import System, calls_of


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
