"""lambda/openapi.json as the tests of all layers read it: the routes, and whether a response is as described."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

PATH = Path(__file__).resolve().parents[1] / "lambda" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
PROBLEM = "application/problem+json"

OPERATIONS: Mapping[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
"""Route key -> what it takes and answers."""

ROUTES = frozenset(OPERATIONS)

OPEN_ROUTES = frozenset(route for route, operation in OPERATIONS.items() if operation.get("security") == [])
"""Routes that need no credentials."""


def copy_descriptions(folder: Path) -> None:
    """Copy what Terraform takes routes from."""
    for name in (PATH.name, "sync_openapi.json"):
        shutil.copy(PATH.with_name(name), folder)


def resolve(node: Any) -> Any:
    """What a reference stands for; anything else stands for itself."""
    while "$ref" in node and set(node) == {"$ref"}:
        node = _target(node["$ref"])
    return node


def responses(route: str) -> dict[int, Any]:
    """Status -> response object of a route."""
    return {int(status): resolve(response) for status, response in OPERATIONS[route]["responses"].items()}


def problem_types(response: Mapping[str, Any]) -> frozenset[str]:
    """The types of the problems that a response object may hold."""
    content = response.get("content", {}).get(PROBLEM)
    return frozenset(content["schema"]["properties"]["type"]["enum"]) if content else frozenset()


def answers(route: str) -> Iterator[tuple[int, str | None]]:
    """Each status and problem type that the api function may answer with. API Gateway's own answers are left out."""
    for status, response in responses(route).items():
        if status < 400:
            yield status, None
        yield from ((status, problem) for problem in sorted(problem_types(response)))


def check(route: str, status: int, headers: Mapping[str, str], body: Any, gateway: bool = False) -> None:
    """Compare a response with what is documented of its route and status.

    Args:
        route: such as `POST /predict`.
        status: its status.
        headers: its headers.
        body: its body, read as JSON if it is JSON; None if it has none.
        gateway: it came through API Gateway, which adds headers, and may answer by itself.

    Raises:
        AssertionError: the status, the content type, a header or a member of the body is not documented, or differs.
    """
    where = f"{status} of {route}"
    documented = responses(route)
    assert status in documented, f"{where} is not documented: {body}"
    response = documented[status]
    sent = {name.lower(): value for name, value in headers.items()}
    kind = sent.pop("content-type", None)
    has_body = "content" in response
    assert kind in response["content"] if has_body else kind is None or gateway, f"{where} is {kind}: {body}"
    own = kind == PROBLEM or status < 400
    assert own or gateway, f"{where} can only be API Gateway's: {body}"
    described = {name.lower(): resolve(header) for name, header in response.get("headers", {}).items()}
    for name, header in described.items():
        if name in sent:
            _validate(header["schema"], sent[name], f"{name} in {where}")
        assert name in sent or not (own and header.get("required")), f"{where} has no {name}"
    assert gateway or not sent.keys() - described.keys(), f"{where} has {sent.keys() - described.keys()}"
    if not has_body:
        assert body is None, f"{where} has a body: {body}"
        return
    schema = response["content"][kind]["schema"]
    _validate(schema, body, where)
    unknown = body.keys() - _properties(schema) if isinstance(body, dict) else None
    assert not unknown, f"{where} has {', '.join(unknown)}, which is not documented"


def _validate(schema: Any, value: Any, where: str) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in _validator(json.dumps(schema)).iter_errors(value)]
    assert not errors, f"{where}: {'; '.join(errors)}"


@cache
def _validator(schema: str) -> Draft202012Validator:
    # References in it begin at the document's root.
    return Draft202012Validator(json.loads(schema) | {"components": DOCUMENT["components"]})


def _properties(schema: Mapping[str, Any]) -> set[str]:
    """The members that an object schema describes, with those of what it refers to."""
    below = _properties(_target(schema["$ref"])) if "$ref" in schema else set()
    for either in schema.get("anyOf", ()):
        below |= _properties(either)
    return below | set(schema.get("properties", ()))


def _target(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node
