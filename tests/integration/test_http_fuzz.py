"""The HTTP surface under arbitrary requests: documented answers only, JSON always, and nothing accepted that the worker
rejects. Who is right about an input is decided by an independent reading of the manifest's schema.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scripts.deployment.environment_config import MODELS
from tests import openapi
from tests.events import golden
from tests.integration.system import System
from worker.model.loaded import LoadedModel
from worker.model.manifest import Manifest
from worker.models.sentiment.model import Sentiment

ROUTES = sorted(openapi.ROUTES)
ANSWERS: Counter[tuple[str, int]] = Counter()

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
LONG = st.builds(lambda unit, n: unit * n, st.sampled_from(["x", "\u20ac", "\ud83d", "a "]), st.integers(0, 1001))
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "text": ANY_TEXT | ANY_TEXT | LONG | JSON,
        "threshold": st.floats(-0.5, 1.5) | st.floats(0, 1) | st.sampled_from([0, 1, True, 10**400, "0.5", None]),
        "more": st.none(),
    },
)
GOOD = st.fixed_dictionaries({"text": ANY_TEXT | LONG}, optional={"threshold": st.floats(0, 1)})
INPUTS = GOOD | GOOD | NEARLY | JSON
KEYS = st.none() | st.sampled_from(["k", "k", "l", "", "x" * 256, "\n"]) | ANY_TEXT
KINDS = st.sampled_from(
    ["application/json", "application/json; charset=utf-8", "text/plain", "", "text/html", "a/b+json"]
)
QUERY_VALUES = st.sampled_from(["1", "100", "pending", "failed,expired", "sentiment", "WzEsICJhIl0"])
QUERY_NAMES = st.sampled_from(["status", "model", "limit", "cursor", "x"])
QUERIES = st.none() | st.dictionaries(QUERY_NAMES, QUERY_VALUES | ANY_TEXT, max_size=3)
IDS = st.uuids().map(str) | ANY_TEXT | st.integers(0, 4000).map(lambda size: "x" * size)


class NoRuntime:
    """Instead of torch: as many probabilities as inputs."""

    def run(self, arrays: dict[str, Any]) -> tuple[Any, ...]:
        return (np.full(len(arrays["ids"]), 0.75, dtype=np.float32),)


class Loaded(LoadedModel):
    """As the worker sees it, loaded already."""

    is_loaded = True

    def begin_invocation(self) -> None:
        pass

    def load(self) -> None:
        pass


FOLDER: Path = MODELS / "sentiment"
MANIFEST = Manifest.read(FOLDER / "manifest.json")
INPUT_SCHEMA = jsonschema.Draft7Validator(MANIFEST.input_schema)
OUTPUT_SCHEMA = jsonschema.Draft7Validator(MANIFEST.output_schema)


@pytest.fixture(scope="module")
def fuzzed(moto_system: System) -> System:
    moto_system.model = Loaded(MANIFEST, Sentiment(NoRuntime(), MANIFEST))  # type: ignore[assignment]
    return moto_system


def fuzz(examples: int) -> Any:
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck))


def checked(system: System, event: dict[str, Any]) -> dict[str, Any]:
    """The function's answer, if it is one that the contract allows."""
    json.dumps(event)  # AWS could have sent it
    response = system.api.handler(event, system._context())
    route = event["routeKey"]
    assert response["statusCode"] < 500, response
    ANSWERS[route, response["statusCode"]] += 1
    if response["statusCode"] == 304:
        openapi.check(route, 304, response["headers"], response.get("body"))
        return {"status": 304, "body": None}
    if response["headers"]["content-type"].startswith("text/html"):
        openapi.check(route, response["statusCode"], response["headers"], response["body"])
        return {"status": response["statusCode"], "body": None}
    body = json.loads(response["body"], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(body, dict)
    if route in openapi.ROUTES:
        openapi.check(route, response["statusCode"], response["headers"], body)
    else:
        assert (response["statusCode"], body["type"]) == (404, "/problems/unknown-route")
    assert response["body"].isascii()
    for name, value in response["headers"].items():
        assert re.fullmatch(r"[\w-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]*", value)
    assert len(response["body"]) < 5000 or response["statusCode"] < 300
    return {"status": response["statusCode"], "body": body}


def with_body(event: dict[str, Any], body: bytes | str, encoded: bool) -> dict[str, Any]:
    if encoded:
        raw = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        return event | {"body": base64.b64encode(raw).decode(), "isBase64Encoded": True}
    return event | {"body": body if isinstance(body, str) else body.decode("latin-1"), "isBase64Encoded": False}


@fuzz(400)
@given(value=INPUTS, key=KEYS, encoded=st.booleans(), ascii_only=st.booleans())
@example(value={"text": "\ud800"}, key=None, encoded=False, ascii_only=True)
@example(value={"text": "\ud800"}, key=None, encoded=False, ascii_only=False)
@example(value={"text": "x", "threshold": float("nan")}, key=None, encoded=True, ascii_only=True)
@example(value={"text": "x" * 4_600_000}, key=None, encoded=True, ascii_only=True)
def test_what_is_accepted_is_exactly_what_the_schema_allows_and_the_worker_computes_it(
    fuzzed: System, value: Any, key: str | None, encoded: bool, ascii_only: bool
) -> None:
    event = golden("http_predict")
    if key is not None:
        event["headers"]["idempotency-key"] = key
    text = json.dumps(value, ensure_ascii=ascii_only)
    answer = checked(fuzzed, with_body(event, text, encoded))
    status = answer["status"]
    key_is_good = key is None or (1 <= len(key.strip(" ")) <= 255 and key.isascii() and key.isprintable())
    if key is not None and key.strip(" ").startswith('"'):
        key_is_good = re.fullmatch(r' *"([ !#-\[\]-~]|\\["\\]){1,255}" *(;[ -~]*)?', key) is not None
    try:
        sent = json.loads(text.encode(), parse_constant=lambda _: 1 / 0)
        is_json = True
    except (UnicodeEncodeError, ZeroDivisionError):
        sent, is_json = None, False
    if not key_is_good:
        assert status == 400
    elif len(text) > 4_500_000:
        assert status == 413
    elif not is_json:
        assert status == 400
    elif not INPUT_SCHEMA.is_valid(sent):
        assert status == 422
    else:
        assert status == 202 or (status == 422 and key is not None)
    if status == 202:
        finish(fuzzed, answer["body"]["request_id"])


def finish(system: System, request_id: str) -> None:
    """The worker takes what was accepted, and makes a result of it."""
    assert system.run_worker() == []
    body = checked(system, golden("http_status") | {"pathParameters": {"request_id": request_id}})["body"]
    assert (body["status"], body["error"]) == ("succeeded", None), body
    OUTPUT_SCHEMA.validate(body["result"])


@fuzz(400)
@given(
    route=st.sampled_from(ROUTES) | ANY_TEXT,
    name=IDS | st.sampled_from(["sentiment", "sentiment", "wordcount"]),
    body=st.binary(max_size=60) | ANY_TEXT | GOOD.map(json.dumps),
    encoded=st.booleans(),
    headers=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3),
    kind=KINDS | ANY_TEXT,
    key=KEYS,
    flag=st.sampled_from([None, True, False]),
    query=QUERIES,
)
def test_any_request_gets_a_documented_answer(
    fuzzed: System,
    route: str,
    name: str,
    body: bytes | str,
    encoded: bool,
    headers: dict[str, str],
    kind: str,
    key: str | None,
    flag: bool | None,
    query: dict[str, str] | None,
) -> None:
    parameters = dict.fromkeys(re.findall(r"{(\w+)}", route if route in ROUTES else ""), name)
    event = golden("http_predict") | {"routeKey": route, "pathParameters": parameters}
    event["headers"] = headers | {"content-type": kind} | ({} if key is None else {"idempotency-key": key})
    event = with_body(event, body, encoded) | ({} if query is None else {"queryStringParameters": query})
    if flag is not None:
        event["isBase64Encoded"] = flag
    answer = checked(fuzzed, event)
    if answer["status"] == 202 and answer["body"]["model"] == "sentiment":
        finish(fuzzed, answer["body"]["request_id"])


@fuzz(60)
@given(
    authorizer=st.recursive(st.none() | ANY_TEXT, lambda inner: st.dictionaries(ANY_TEXT, inner, max_size=2)).filter(
        lambda value: value is None or isinstance(value, dict)
    ),
    body=st.none() | ANY_TEXT,
)
def test_any_caller_gets_a_documented_answer(fuzzed: System, authorizer: Any, body: str | None) -> None:
    event = golden("http_predict") | {"body": body}
    event["requestContext"]["authorizer"] = authorizer
    checked(fuzzed, event)


def test_the_fuzzing_reached_every_kind_of_answer() -> None:
    """It would prove little if everything were rejected at the door. (Examples are the same in every run.)"""
    if not ANSWERS:
        pytest.skip("judges the runs above")
    statuses = {status for _, status in ANSWERS}
    assert {200, 202, 400, 404, 413, 415, 422} <= statuses
    assert ANSWERS["POST /predict", 202] >= 30
