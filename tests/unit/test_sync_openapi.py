"""The description of the synchronous routes: sound, complete, and there only for the models that have them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from inference.http.problems import PROBLEMS
from inference.http.sync_openapi import describe_app, with_sync_paths
from inference.http.sync_problems import SYNC_PROBLEMS
from scripts.console import ROOT
from scripts.packaging.model_files import DESCRIPTIONS
from tests import openapi, sync_openapi
from tests.unit.test_description import LIMITS, MODELS, a_model, described
from tests.unit.test_openapi import GATEWAY, nodes, table

ROUTES = pytest.mark.parametrize("route", sorted(sync_openapi.OPERATIONS))
API_ROUTES = {route for route, operation in sync_openapi.OPERATIONS.items() if "x-server" not in operation}


def of_the_api(*sync: str) -> dict[str, Any]:
    """What the api function describes, where some models have synchronous routes."""
    return described(with_sync_paths(openapi.DOCUMENT, sync_openapi.FOLDER), sync=sync)


def of_the_app(*models: dict[str, Any]) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(describe_app(sync_openapi.FOLDER, models or MODELS, LIMITS))
    return description


def test_references_lead_somewhere_and_nothing_is_left_over() -> None:
    used = {node["$ref"] for node in nodes(sync_openapi.ADDED) if isinstance(node, dict) and "$ref" in node}
    own = {f"#/components/{kind}/{name}" for kind, named in sync_openapi.ADDED["components"].items() for name in named}
    shared = {f"#/components/{kind}/{name}" for kind, named in openapi.DOCUMENT["components"].items() for name in named}
    assert not own & shared
    assert own <= used <= own | shared
    for schema in sync_openapi.ADDED["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@ROUTES
def test_a_problem_has_the_status_and_headers_of_its_error(route: str) -> None:
    known = {problem.type: problem for problem in (*PROBLEMS.values(), *SYNC_PROBLEMS.values())}
    for status, kind in sync_openapi.problems(route):
        assert known[kind].status == status
        response = sync_openapi.resolve(sync_openapi.OPERATIONS[route]["responses"][str(status)])
        assert known[kind].headers.keys() <= response.get("headers", {}).keys()


def test_each_problem_of_a_prediction_is_described() -> None:
    routes = ("POST /models/{model}/predict", "POST /models/{model}/batch")
    for route in routes:
        kinds = {kind for _, kind in sync_openapi.problems(route)}
        assert kinds >= {problem.type for problem in SYNC_PROBLEMS.values()}


def test_only_models_with_synchronous_routes_have_them_in_the_api() -> None:
    assert described()["paths"].keys() == of_the_api()["paths"].keys() - {"/models/{model}/health"}
    description = of_the_api("double")
    added = description["paths"].keys() - described()["paths"].keys()
    assert added == {"/models/double/predict", "/models/double/batch", "/models/{model}/health"}
    assert "getHealth" in description["paths"]["/health"]["get"]["operationId"], "the api function's own"


def test_inputs_and_results_are_the_models_own_without_references_to_files() -> None:
    file = {"type": "string", "contentEncoding": "base64"}
    schema = {"type": "object", "properties": {"image": file}, "required": ["image"]}
    description = of_the_app(a_model("pictures", input_schema=schema, output_schema=schema))
    schemas = description["components"]["schemas"]
    assert schemas["SyncInput.pictures"] == schemas["SyncResult.pictures"] == schema
    body = description["components"]["requestBodies"]["SyncBatch.pictures"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator(body | {"components": description["components"]})
    assert validator.is_valid({"items": [{"image": "eA=="}]})
    assert not validator.is_valid({"items": [{"image": {"$ref": "/uploads/1"}}]})
    assert not validator.is_valid({"items": []})


def test_the_app_describes_itself_without_what_api_gateway_does() -> None:
    description = of_the_app()
    paths = {re.sub("/(double|other-one)/", "/{model}/", path) for path in description["paths"]}
    assert paths == sync_openapi.ADDED["paths"].keys()
    operations = [operation for item in description["paths"].values() for operation in item.values()]
    assert not any({"401", "403"} & operation["responses"].keys() for operation in operations)
    assert "security" not in description
    assert description["components"]["securitySchemes"] == {}
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))


def test_the_routes_have_what_api_gateway_answers_too() -> None:
    for route in API_ROUTES:
        assert set(map(int, sync_openapi.OPERATIONS[route]["responses"])) >= GATEWAY


def test_what_is_packaged_is_there() -> None:
    assert all((ROOT / "lambda" / name).is_file() for name in DESCRIPTIONS)


SYNC = (ROOT / "docs" / "sync.md").read_text(encoding="utf-8")


def test_the_docs_have_every_route_with_its_statuses() -> None:
    documented = {
        route: set(map(int, re.findall(r"`(\d{3})`", row))) for route, row in table(SYNC, "## Routes").items()
    }
    assert documented.keys() == sync_openapi.OPERATIONS.keys() | {"GET /openapi.json"}
    for route, statuses in documented.items():
        if route in sync_openapi.OPERATIONS:
            responses = sync_openapi.OPERATIONS[route]["responses"]
            own = {int(s) for s in responses if int(s) < 400} | {s for s, _ in sync_openapi.problems(route)}
            assert statuses == own, route


def test_the_docs_have_every_problem_with_its_status() -> None:
    documented = {name: int(row.split("|")[0].strip(" `")) for name, row in table(SYNC, "## Errors").items()}
    answered = {kind: status for route in sync_openapi.OPERATIONS for status, kind in sync_openapi.problems(route)}
    assert documented == answered
