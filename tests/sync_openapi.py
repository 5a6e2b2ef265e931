"""lambda/sync_openapi.json as the tests read it: whether a response of the synchronous app is as described."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from tests import openapi

FOLDER = openapi.PATH.parent
ADDED: dict[str, Any] = json.loads((FOLDER / "sync_openapi.json").read_text(encoding="utf-8"))
COMPONENTS = {
    kind: {**named, **ADDED["components"].get(kind, {})} for kind, named in openapi.DOCUMENT["components"].items()
}
OPERATIONS: Mapping[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, methods in ADDED["paths"].items()
    for method, operation in methods.items()
}
"""Route key -> what it takes and answers."""

OFTEN = {"content-type", "content-length"}
"""Headers that no description names."""


def resolve(node: Any) -> Any:
    """What a reference stands for."""
    while isinstance(node, dict) and node.keys() == {"$ref"}:
        _, _, kind, name = node["$ref"].split("/")
        node = COMPONENTS[kind][name]
    return node


def problems(route: str) -> set[tuple[int, str]]:
    """Each status and problem type of a route."""
    found = set()
    for status, response in OPERATIONS[route]["responses"].items():
        content = resolve(response).get("content", {}).get(openapi.PROBLEM)
        for kind in content["schema"]["properties"]["type"]["enum"] if content else ():
            found.add((int(status), kind))
    return found


def check(route: str, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Compare a response with what is documented of its route and status; header names are in lower case."""
    response = resolve(OPERATIONS[route]["responses"][str(status)])
    content = response["content"][headers["content-type"]]
    Draft202012Validator({**content["schema"], "components": COMPONENTS}).validate(body)
    named = {name.lower() for name in response.get("headers", ())}
    assert headers.keys() - OFTEN <= named, f"{route} {status} has {headers.keys() - OFTEN - named}"
