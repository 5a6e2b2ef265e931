"""Every answer that lambda/openapi.json documents of the api function, produced and compared with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from inference.errors import Unavailable
from tests import openapi
from tests.events import golden, http_events
from tests.integration.system import System
from tests.integration.terraform_definition import MAX_RECEIVE_COUNT

UNKNOWN = "6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"
TEXT = {"text": "worst delay of my life, never again"}

RESENDS = {"POST /requests/{request_id}/webhook", "POST /batches/{batch_id}/webhook"}

Response = dict[str, Any]
Produce = Callable[[System, str], Response]


def event_of(route: str, body: Any = None, request_id: str = UNKNOWN, **headers: str) -> dict[str, Any]:
    """An event of a route; without a body, one that is accepted. Header names are written with underscores."""
    if body is None and "/predict" in route:
        body = TEXT
    event: dict[str, Any] = golden(http_events()[route])
    if ids := {"request_id", "batch_id"} & event.get("pathParameters", {}).keys():
        event["pathParameters"] = dict.fromkeys(ids, request_id)
    elif body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    event["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
    return event


def sends(body: Any = None, **headers: str) -> Produce:
    return lambda system, route: system.call(event_of(route, body, **headers))


def open_id(system: System, route: str) -> str:
    """Of a new request, or of a batch where the route is about one."""
    if "{batch_id}" in route:
        return str(system.submit_batch(TEXT, TEXT)["json"]["batch_id"])
    return str(system.predict(TEXT)["json"]["request_id"])


def of_an_open_request(system: System, route: str) -> Response:
    return system.call(event_of(route, request_id=open_id(system, route)))


def of_a_final_request(system: System, route: str) -> Response:
    request_id = open_id(system, route)
    system.run_worker()
    return system.call(event_of(route, request_id=request_id))


def of_one_with_a_webhook(final: bool) -> Produce:
    """A request, or a batch where the route is about one."""

    def produce(system: System, route: str) -> Response:
        submit, name = ("POST /batch", "batch_id") if "{batch_id}" in route else ("POST /predict", "request_id")
        accepted = system.call(event_of(submit, webhook_url="https://example.com/hook"))
        if final:
            system.run_worker()
        return system.call(event_of(route, request_id=accepted["json"][name]))

    return produce


def of_what_the_route_is_about(system: System, route: str) -> Response:
    """A request that exists; of a submit, one that becomes final while the call waits."""
    if not route.startswith("POST /predict"):
        return of_an_open_request(system, route)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system.api.service, "_pause", lambda _: system.run_worker())
        return system.call(event_of(route, prefer="wait=5"))


def with_the_tag_of_an_earlier_answer(system: System, route: str) -> Response:
    request_id = open_id(system, route)
    tag = system.call(event_of(route, request_id=request_id))["headers"]["ETag"]
    return system.call(event_of(route, request_id=request_id, if_none_match=tag))


def with_the_key_of_another(system: System, route: str) -> Response:
    system.call(event_of(route, idempotency_key="k"))
    another = {"text": "another"}
    return system.call(event_of(route, {"items": [another]} if "/batch" in route else another, idempotency_key="k"))


def with_a_reference_to_no_upload(system: System, route: str) -> Response:
    reference = {"$ref": "http://169.254.169.254/"}
    return system.call(event_of(route, {"items": reference} if "/batch" in route else {"text": reference}))


def with_an_unknown_model(system: System, route: str) -> Response:
    return system.call(event_of(route) | {"pathParameters": {"model": "nope"}})


def with_an_invalid_query(system: System, route: str) -> Response:
    return system.call(event_of(route) | {"queryStringParameters": {"limit": "-1"}})


def while_the_service_raises(error: Exception) -> Produce:
    def produce(system: System, route: str) -> Response:
        def fail(*_: object) -> None:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            for instance in (system.api.service, system.api.batches(), system.api.documents):
                for name in (name for name in vars(type(instance)) if not name.startswith("_")):
                    patch.setattr(instance, name, fail)
            patch.setattr(system.api.payloads, "new_upload", fail)
            return system.call(event_of(route))

    return produce


PRODUCERS: dict[int | str, Produce] = {
    200: of_what_the_route_is_about,
    201: sends(),
    202: lambda system, route: (of_one_with_a_webhook(True) if route in RESENDS else sends())(system, route),
    304: with_the_tag_of_an_earlier_answer,
    "/problems/already-final": of_a_final_request,
    "/problems/idempotency-key-reused": with_the_key_of_another,
    "/problems/internal-error": while_the_service_raises(NameError("a defect")),
    "/problems/invalid-idempotency-key": sends(idempotency_key=""),
    "/problems/invalid-query": with_an_invalid_query,
    "/problems/invalid-input": sends({"text": ""}),
    "/problems/invalid-webhook": sends(webhook_url="http://example.com/"),
    "/problems/no-webhook": of_a_final_request,
    "/problems/not-final": of_one_with_a_webhook(False),
    "/problems/invalid-batch": sends({"items": []}),
    "/problems/invalid-items": sends({"items": [TEXT, {"text": ""}]}),
    "/problems/invalid-reference": with_a_reference_to_no_upload,
    "/problems/invalid-upload": sends({}),
    "/problems/not-json": sends("{"),
    "/problems/too-large": sends("1" * 4_600_000),
    "/problems/unavailable": while_the_service_raises(Unavailable("no answer")),
    "/problems/unknown-batch": sends(),
    "/problems/unknown-model": with_an_unknown_model,
    "/problems/unknown-request": sends(),
    "/problems/unsupported-content-encoding": sends(content_encoding="gzip"),
    "/problems/unsupported-media-type": sends(content_type="text/xml"),
}


def test_the_functions_routes_are_the_documents(system: System) -> None:
    assert set(system.api.ROUTES) == openapi.ROUTES


@pytest.mark.parametrize(
    ("route", "status", "problem"),
    [(route, *answer) for route in sorted(openapi.ROUTES) for answer in openapi.answers(route)],
)
def test_every_documented_answer_is_given(system: System, route: str, status: int, problem: str | None) -> None:
    response = PRODUCERS[problem or status](system, route)  # compared with the document in `System.call`
    body = response["json"]
    assert (response["statusCode"], body.get("type") if isinstance(body, dict) else None) == (status, problem)


def test_a_final_request_as_documented(system: System) -> None:
    response = of_a_final_request(system, "GET /status/{request_id}")
    assert response["json"]["status"] == "succeeded"
    assert "Retry-After" not in response["headers"]


def test_a_failed_request_as_documented(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    # Deliveries without a worker, until SQS moves the message to the dead-letter queue.
    for _ in range(MAX_RECEIVE_COUNT + 1):
        system.receive("sentiment")
        system.time_passes(0)
    system.run_dead_letters()
    assert system.status(request_id)["json"]["error"]["code"] == "undelivered"


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: answer | {"status": 418},
        lambda answer: answer | {"headers": answer["headers"] | {"content-type": "text/html"}},
        lambda answer: answer | {"headers": answer["headers"] | {"x-new": "1"}},
        lambda answer: answer | {"headers": answer["headers"] | {"Retry-After": "soon"}},
        lambda answer: answer | {"headers": {"content-type": "application/json", "cache-control": "no-store"}},
        lambda answer: answer | {"body": answer["body"] | {"status": "waiting"}},
        lambda answer: answer | {"body": answer["body"] | {"new": 1}},
        lambda answer: answer | {"body": {"request_id": "a1"}},
    ],
)
def test_the_comparison_sees_what_is_not_documented(system: System, change: Any) -> None:
    response = system.predict(TEXT)
    answer = {"status": response["statusCode"], "headers": response["headers"], "body": response["json"]}
    openapi.check("POST /predict", **answer)
    with pytest.raises(AssertionError):
        openapi.check("POST /predict", **change(answer))
