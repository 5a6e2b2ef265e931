"""lambda/openapi.json is sound in itself, and says what the code and the documents say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from async_inference_client import auth
from inference.description import describe
from inference.http import caching
from inference.http.problems import PROBLEMS
from inference.requests import FINAL, ErrorCode, Status
from scripts.stack_defaults import defaults
from tests import openapi
from tests.events import http_events
from tests.unit.fakes import NOW
from tests.unit.samples import a_record

ROOT = Path(__file__).resolve().parents[2]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCHEMAS = openapi.DOCUMENT["components"]["schemas"]
GATEWAY = {401, 403, 429}
"""Statuses that are API Gateway's alone. A stage may answer any call with them."""
SCHEMES = openapi.DOCUMENT["components"]["securitySchemes"]
CREDENTIALS = list(dict.fromkeys(scheme.get("name", "Authorization") for scheme in SCHEMES.values()))
"""Headers that say who calls; that of a bearer token has no name of its own."""
MODULES = ROOT / "terraform" / "modules"
UNAUTHORIZED = {401, 403}
"""Those of them that only calls with credentials get."""

routes = pytest.mark.parametrize("route", sorted(openapi.ROUTES))


def nodes(node: Any) -> Iterator[Any]:
    """Everything in a document."""
    yield node
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for item in below:
        yield from nodes(item)


# The document


def test_no_name_is_there_twice() -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"Terraform can't read it: a name is twice among {names}"
        return dict(pairs)

    json.loads(openapi.PATH.read_text(encoding="utf-8"), object_pairs_hook=unique)


def test_references_lead_somewhere_and_nothing_is_left_over() -> None:
    used = {node["$ref"] for node in nodes(openapi.DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    defined = {
        f"#/components/{kind}/{name}"
        for kind, named in openapi.DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert used == defined


def test_schemas_are_schemas() -> None:
    found = [node["schema"] for node in nodes(openapi.DOCUMENT) if isinstance(node, dict) and "schema" in node]
    for schema in [*found, *SCHEMAS.values()]:
        Draft202012Validator.check_schema(schema)


@routes
def test_an_operation_is_complete(route: str) -> None:
    operation = openapi.OPERATIONS[route]
    assert operation["operationId"]
    assert operation["summary"].endswith(".")
    parameters = [openapi.resolve(parameter) for parameter in operation["parameters"]]
    in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
    assert in_path == set(re.findall(r"{(\w+)}", route))
    expected = GATEWAY - UNAUTHORIZED if route in openapi.OPEN_ROUTES else GATEWAY
    assert openapi.responses(route).keys() >= expected | {500, 503}
    assert openapi.responses(route).keys() & GATEWAY == expected


def test_operations_are_told_apart() -> None:
    names = {operation["operationId"] for operation in openapi.OPERATIONS.values()}
    assert len(names) == len(openapi.OPERATIONS)


# The code


@routes
def test_a_problem_has_the_status_and_headers_of_its_error(route: str) -> None:
    known = {problem.type: problem for problem in PROBLEMS.values()}
    for status, response in openapi.responses(route).items():
        assert (status in GATEWAY) == (status >= 400 and list(response["content"]) == ["application/json"])
        sent: set[str] = set()
        for name in openapi.problem_types(response):
            assert known[name].status == status
            sent.update(known[name].headers)
        assert status < 400 or set(response.get("headers", ())) - {"Cache-Control"} == sent


def test_each_problem_can_be_answered_by_a_route() -> None:
    documented = {problem for route in openapi.ROUTES for _, problem in openapi.answers(route)} - {None}
    # API Gateway sends no other route to the function.
    assert documented == {problem.type for problem in PROBLEMS.values()} - {"/problems/unknown-route"}


def test_statuses_and_codes_are_those_of_the_code() -> None:
    assert SCHEMAS["Status"]["enum"] == [status.value for status in Status]
    assert SCHEMAS["Error"]["properties"]["code"]["enum"] == [code.value for code in ErrorCode]


def test_a_request_is_shown_as_described() -> None:
    shown = describe(a_record(), NOW)
    assert set(shown) == set(SCHEMAS["Request"]["required"]) == set(SCHEMAS["Request"]["properties"])


def test_the_golden_events_are_of_every_route() -> None:
    assert http_events().keys() == openapi.ROUTES


# The documents


def table(text: str, heading: str) -> dict[str, str]:
    """The first table below a heading: first cell, without backticks, -> the rest of its row."""
    lines = text.split(f"\n{heading}\n", 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    rows = {}
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        first, rest = line.strip("|").split("|", 1)
        rows[first.strip().strip("`")] = rest
    return rows


def test_the_docs_have_every_route_with_its_statuses() -> None:
    documented = {route: set(map(int, re.findall(r"`(\d{3})`", row))) for route, row in table(API, "## Routes").items()}
    assert documented == {route: set(openapi.responses(route)) - GATEWAY for route in openapi.ROUTES}


def test_the_docs_have_every_problem_with_its_status() -> None:
    documented = {name: int(row.split("|")[0].strip(" `")) for name, row in table(API, "## Errors").items()}
    assert documented == {problem.type: problem.status for problem in PROBLEMS.values()}


def test_the_docs_have_every_status_of_the_gateway() -> None:
    rows = table(API, "### API Gateway's own errors")
    documented = {int(status) for row in rows for status in re.findall(r"\d{3}", row)}
    ours = {
        status
        for route in openapi.ROUTES
        for status, response in openapi.responses(route).items()
        if status >= 400 and "application/json" in response["content"]
    }
    assert documented == ours | {404}, "404: of a path that no route has"


def test_the_docs_have_every_header() -> None:
    sent = {
        openapi.resolve(parameter)["name"]
        for operation in openapi.OPERATIONS.values()
        for parameter in operation["parameters"]
        if openapi.resolve(parameter)["in"] == "header"
    }
    answered = {
        name
        for route in openapi.ROUTES
        for response in openapi.responses(route).values()
        for name in response.get("headers", ())
    }
    # OpenAPI describes these elsewhere: as the content of a body, and as security schemes.
    assert set(table(API, "## Headers of a call")) == sent | {"Content-Type", *CREDENTIALS}
    assert set(table(API, "## Headers of an answer")) == answered | {"Content-Type"}


def test_each_way_to_authenticate_is_one_of_any_call() -> None:
    assert {name for way in openapi.DOCUMENT["security"] for name in way} == SCHEMES.keys()
    assert openapi.DOCUMENT["components"]["headers"]["Vary"]["schema"] == {"const": ", ".join(CREDENTIALS)}
    assert {"Authorization", auth.API_KEY_HEADER} == set(CREDENTIALS)
    assert ", ".join(CREDENTIALS) == caching.CREDENTIALS
    (source,) = re.findall(r"request\.header\.(X-[\w-]+)", (MODULES / "http_api" / "main.tf").read_text("utf-8"))
    assert source == auth.API_KEY_HEADER


def test_a_page_may_send_and_read_every_header_with_every_method() -> None:
    """The defaults of `cors`, of what the routes take and answer."""
    cors = defaults("cors")
    parameters = [openapi.resolve(p) for operation in openapi.OPERATIONS.values() for p in operation["parameters"]]
    taken = {p["name"] for p in parameters if p["in"] == "header"} - {"Content-Encoding"}  # must be `identity`
    assert set(cors["allow_headers"]) >= {name.lower() for name in taken | {"Content-Type", *CREDENTIALS}}
    assert set(cors["allow_methods"]) == {route.split(" ")[0] for route in openapi.ROUTES}
    read = {
        name
        for route in openapi.ROUTES
        for each in openapi.responses(route).values()
        for name in each.get("headers", ())
    }
    of_a_page = {"Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"}
    not_of_the_answer = {"Accept-Encoding", "Vary"} | of_a_page
    always_readable = {"Cache-Control"}
    assert set(cors["expose_headers"]) == {name.lower() for name in read - not_of_the_answer - always_readable}


def test_the_docs_have_every_status_and_which_are_final() -> None:
    documented = {status: row.strip(" |").endswith("yes") for status, row in table(API, "### Statuses").items()}
    assert documented == {status.value: status in FINAL for status in Status}
    (sentence,) = re.findall(r"^A status is (.*?)\.", README, re.MULTILINE)
    assert re.findall(r"`(\w+)`", sentence) == [status.value for status in Status]


def test_the_docs_have_every_error_code() -> None:
    assert list(table(API, "## Why a request failed")) == [code.value for code in ErrorCode]


def test_the_readme_has_every_route() -> None:
    assert set(re.findall(r"`([A-Z]+ /[^`]+)`", README)) == openapi.ROUTES
