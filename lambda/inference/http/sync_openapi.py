"""The description of the synchronous routes: sync_openapi.json, whose components stand beside those of openapi.json.

The api function describes them for the models that have them; the app that answers them describes itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.http.openapi import as_text, describe_deployment
from inference.settings import Deployed

FILE = "sync_openapi.json"

_GATEWAY = ("401", "403")
"""Statuses that only API Gateway answers with."""


def with_sync_paths(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """openapi.json with the synchronous routes of an HTTP API."""
    added = _read(folder)
    paths = {path: each for path, each in added["paths"].items() if not any("x-server" in o for o in each.values())}
    return {**document, "paths": {**document["paths"], **paths}, "components": _components(document, added)}


def describe_app(folder: Path, models: Sequence[Mapping[str, Any]], limits: Mapping[str, int]) -> str:
    """The description of the app, as JSON.

    Args:
        folder: of openapi.json and sync_openapi.json.
        models: each with its `name` and what `inference.catalog.PackagedModel` has.
        limits: name of a setting -> its value.
    """
    document = json.loads((folder / "openapi.json").read_text(encoding="utf-8"))
    added = _read(folder)
    paths = {
        path: {method: _without_gateway(operation) for method, operation in operations.items()}
        for path, operations in added["paths"].items()
    }
    info = {**document["info"], "title": "Model inference", "description": "Predict an input. Reference: docs/sync.md."}
    own = {**document, "info": info, "paths": paths, "components": _components(document, added)}
    deployed = Deployed("", (), (), {}, "x86_64", tuple(model["name"] for model in models))
    described = describe_deployment(own, deployed, [{**model, "default": False} for model in models], limits)
    del described["security"]
    for operations in described["paths"].values():
        for operation in operations.values():
            operation.pop("x-worker", None)  # a worker's memory and price are not this process's
    return as_text(described)


def _read(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return document


def _components(document: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: {**named, **added["components"].get(kind, {})} for kind, named in document["components"].items()}


def _without_gateway(operation: Mapping[str, Any]) -> dict[str, Any]:
    responses = {status: each for status, each in operation["responses"].items() if status not in _GATEWAY}
    return {**operation, "responses": responses}
