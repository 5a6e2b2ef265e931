"""GET /openapi.json: lambda/openapi.json for one deployment."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from inference.http.openapi import describe_deployment
from inference.settings import Deployed
from scripts.console import ROOT
from tests import openapi
from tests.unit.test_openapi import nodes

DEPLOYED = Deployed("JWT", without=["/requests"], open_paths=[], memory_mb={}, architecture="arm64", sync=[])
INPUT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"size": {"$ref": "#/definitions/size"}},
    "definitions": {"size": {"type": "integer", "minimum": 1}},
    "required": ["size"],
    "examples": [{"size": 3}],
}


def a_model(name: str, **more: Any) -> dict[str, Any]:
    """As `GET /models/{model}` has it, with its worker's memory and its files."""
    return {
        "name": name,
        "version": "1.2.0",
        "description": "Doubles.",
        "default": name == "double",
        "input_schema": INPUT,
        "output_schema": {"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]},
        "memory_mb": 512,
        "input_files": {},
        **more,
    }


MODELS = [a_model("double"), a_model("other-one", input_files={"image": "bytes", "pages[]": "path"})]
LIMITS = {"max_body_bytes": 1_000, "max_upload_bytes": 2_000, "max_batch_items": 3}


def described(document: dict[str, Any] = openapi.DOCUMENT, **changes: Any) -> dict[str, Any]:
    return describe_deployment(document, DEPLOYED._replace(**changes), MODELS, LIMITS)


def validator(description: dict[str, Any], schema: Any) -> Draft202012Validator:
    return Draft202012Validator(schema | {"components": description["components"]})


def body_schema(description: dict[str, Any], path: str) -> Any:
    body = description["components"]["requestBodies"][
        description["paths"][path]["post"]["requestBody"]["$ref"].rsplit("/")[-1]
    ]
    return body["content"]["application/json"]["schema"]


def test_the_document_that_ships_is_not_changed() -> None:
    before = deepcopy(openapi.DOCUMENT)
    described()
    assert before == openapi.DOCUMENT


def test_each_model_has_its_path() -> None:
    expected = {path for path in openapi.DOCUMENT["paths"] if path != "/requests"}
    expected -= {"/predict/{model}", "/batch/{model}"}
    paths = described()["paths"]
    assert paths.keys() == expected | {f"/{kind}/{each['name']}" for kind in ("predict", "batch") for each in MODELS}
    operations = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(operations) == len(set(operations))
    (predict,) = paths["/predict/other-one"].values()
    assert predict["description"] == "other-one 1.2.0: Doubles."
    assert "404" not in predict["responses"]
    assert predict["x-input-files"] == {"image": "bytes", "pages[]": "path"}
    assert paths["/predict"]["post"]["x-input-files"] == {}
    assert predict["x-worker"] == {"memory_mb": 512, "dollars_per_gb_second": 0.0000133334}


@pytest.mark.parametrize("path", ["/predict", "/predict/double", "/predict/other-one"])
def test_a_body_has_the_models_schema(path: str) -> None:
    description = described()
    schema = validator(description, body_schema(description, path))
    assert schema.is_valid({"size": 1})
    assert not schema.is_valid({"size": 0})
    assert not schema.is_valid({})


@pytest.mark.parametrize(("path", "model"), [("/predict", "double"), ("/predict/other-one", "other-one")])
def test_a_response_has_the_schema_of_the_models_result(path: str, model: str) -> None:
    description = described()
    name = description["paths"][path]["post"]["responses"]["200"]["$ref"].rsplit("/")[-1]
    schema = description["components"]["responses"][name]["content"]["application/json"]["schema"]
    result = validator(description, schema)
    errors = [error.json_path for error in result.iter_errors({"result": {"nothing": 1}})]
    assert "$.result" in errors
    assert "$.result" not in [error.json_path for error in result.iter_errors({"result": {model: 1}})]
    assert "$.result" not in [error.json_path for error in result.iter_errors({"result": None})]


def test_the_limits_of_the_deployment() -> None:
    assert described()["x-limits"] == LIMITS


def test_a_status_is_of_any_model() -> None:
    content = described()["paths"]["/status/{request_id}"]["get"]["responses"]["200"]["content"]
    found = content["application/json"]["schema"]["anyOf"]
    assert found == [{"$ref": f"#/components/schemas/{name}"} for name in ("Request", "Parent")]


def test_references_lead_somewhere_and_nothing_is_left_over() -> None:
    description = described()
    used = {node["$ref"] for node in nodes(description) if isinstance(node, dict) and "$ref" in node}
    defined = {
        f"#/components/{kind}/{name}"
        for kind, named in description["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert {reference for reference in used if reference.count("/") == 3} == defined
    for reference in used - defined:
        node: Any = description
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    # Of a path that is switched off.
    assert "ModelFilter" not in description["components"]["parameters"]


@pytest.mark.parametrize("webhooks", [True, False])
def test_where_there_are_no_webhooks_nothing_asks_for_one(webhooks: bool) -> None:
    path = "/requests/{request_id}/webhook"
    description = described(without=[] if webhooks else [path])
    assert (path in description["paths"]) == webhooks
    names = {each["name"].lower() for each in description["components"]["parameters"].values()}
    assert ("webhook" in names, "webhook-url" in names) == (webhooks, webhooks)
    for submit in ("/predict", "/predict/double", "/predict/other-one"):
        used = [each["$ref"].rpartition("/")[2] for each in description["paths"][submit]["post"]["parameters"]]
        assert {"Webhook", "WebhookUrl"} & set(used) == ({"Webhook", "WebhookUrl"} if webhooks else set())
        assert "IdempotencyKey" in used


def test_a_parameters_path_is_one() -> None:
    named = {each["x-path"] for each in openapi.DOCUMENT["components"]["parameters"].values() if "x-path" in each}
    assert named == {"/requests/{request_id}/webhook"}
    assert named <= openapi.DOCUMENT["paths"].keys()


def test_a_batch_of_each_model() -> None:
    """Whatever holds an input, at any depth, becomes the model's."""
    description = described()
    assert "/batch/double" in description["paths"]
    assert "/batch/{model}" not in description["paths"]
    schema = validator(description, body_schema(description, "/batch/other-one"))
    assert schema.is_valid({"items": [{"size": 1}]})
    assert not schema.is_valid({"items": [{"size": 0}]})


@pytest.mark.parametrize(
    ("authorizer", "schemes"), [("NONE", []), ("JWT", ["jwt"]), ("AWS_IAM", ["sigv4"]), ("API_KEY", ["apiKey"])]
)
def test_it_names_the_deployments_authorizer_only(authorizer: str, schemes: list[str]) -> None:
    description = described(authorizer=authorizer)
    assert list(description["components"]["securitySchemes"]) == schemes
    assert description["security"] == [{scheme: []} for scheme in schemes]
    assert description["paths"]["/health"]["get"]["security"] == []


def test_each_security_scheme_has_its_authorizer() -> None:
    schemes = openapi.DOCUMENT["components"]["securitySchemes"]
    variables = (ROOT / "terraform" / "stack" / "variables_api.tf").read_text(encoding="utf-8")
    types = json.loads(variables.split("contains([", 2)[2].split("], try(tostring(var.authorizer.type)")[0].join("[]"))
    assert {scheme["x-authorizer"] for scheme in schemes.values()} == set(types) - {"NONE"}


def test_an_opened_description_says_so() -> None:
    assert "security" not in described()["paths"]["/openapi.json"]["get"]
    assert described(open_paths=["/openapi.json"])["paths"]["/openapi.json"]["get"]["security"] == []


def test_the_prices_are_those_of_the_cost_report() -> None:
    prices = json.loads((ROOT / "scripts" / "cost" / "prices.json").read_text(encoding="utf-8"))["items"]
    for architecture, price in openapi.DOCUMENT["x-dollars-per-gb-second"].items():
        assert price == prices[f"lambda_gb_seconds_{architecture}"]["price"]
    assert "x-dollars-per-gb-second" not in described()


def test_every_schema_is_one() -> None:
    for schema in described()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
