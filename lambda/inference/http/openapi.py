"""openapi.json as it is for this deployment: its routes, its authorizer, and its models' schemas.

In openapi.json the schemas `ModelInput` and `ModelResult` stand for those of a model. An operation whose body depends
on ModelInput becomes one for each model: at a path of its own where the path has `{model}`, else for the default model.
What it refers to, and depends on a model, is copied for the model, so a new route needs no change here.

A parameter with `x-path` belongs to a feature, as that path does: where the path is switched off, it is left out too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from inference.http.schema_dialect import as_2020_12
from inference.settings import Deployed

MODEL_SCHEMAS = {
    "ModelInput": ("input_schema", "#/components/schemas/UploadReference"),
    "ModelResult": ("output_schema", "#/components/schemas/FileReference"),
    "SyncInput": ("input_schema", None),
    "SyncResult": ("output_schema", None),
}
"""Schema in openapi.json -> the member of a model that it stands for, and what may stand for a file in it."""

_PRICES = "x-dollars-per-gb-second"
_INPUTS = {"#/components/schemas/ModelInput", "#/components/schemas/SyncInput"}
_UNKNOWN_MODEL = {"$ref": "#/components/responses/UnknownModel"}
_MODEL = {"$ref": "#/components/parameters/Model"}

Node = dict[str, Any]


def security_schemes(document: Mapping[str, Any], authorizer: str) -> Node:
    """The security schemes of openapi.json that an authorizer accepts: those with its type in `x-authorizer`."""
    schemes = document["components"]["securitySchemes"]
    return {name: scheme for name, scheme in schemes.items() if scheme.get("x-authorizer") == authorizer}


def describe_deployment(
    document: Mapping[str, Any],
    deployed: Deployed,
    models: Sequence[Mapping[str, Any]],
    limits: Mapping[str, int],
) -> Node:
    """The description of a deployment.

    Args:
        document: openapi.json.
        deployed: what differs between deployments.
        models: every model as `GET /models/{model}` has it, with its worker's `memory_mb` and its `input_files`.
        limits: name of a setting -> its value.
    """
    schemes = security_schemes(document, deployed.authorizer)
    components: Node = {**document["components"], "securitySchemes": schemes}
    of_a_model = _of_a_model(components)
    price = document[_PRICES][deployed.architecture]
    paths: Node = {}
    for path, operations in document["paths"].items():
        if path in deployed.without:
            continue
        for method, operation in operations.items():
            body = operation.get("requestBody")
            operation = {**operation, "parameters": _switched_on(operation["parameters"], components, deployed.without)}
            if path in deployed.open_paths:
                operation = {**operation, "security": []}
            if body is None or not _INPUTS & _reachable(body, document["components"]):
                paths.setdefault(path, {})[method] = operation
                continue
            able = [model for model in models if "x-sync" not in operation or model["name"] in deployed.sync]
            for model in able if "{model}" in path else [model for model in able if model["default"]]:
                copy = _Copy(components, of_a_model, model)
                made = copy.of(_of_one_model(operation, model, price))
                components = {**components, **copy.components}
                if "{model}" in path:
                    made["operationId"] = f"{operation['operationId']}_{model['name']}"
                    made["summary"] = f"{operation['summary'].rstrip('.')}: {model['name']}."
                paths.setdefault(path.replace("{model}", model["name"]), {})[method] = made
    described = {key: value for key, value in document.items() if key != _PRICES}
    security: list[Node] = [{name: []} for name in schemes]
    used = _used(paths, components)
    return {**described, "security": security, "x-limits": dict(limits), "paths": paths, "components": used}


def _switched_on(parameters: Sequence[Node], components: Mapping[str, Any], without: Sequence[str]) -> list[Node]:
    named = components["parameters"]
    return [each for each in parameters if named[each["$ref"].rpartition("/")[2]].get("x-path") not in without]


def _of_one_model(operation: Mapping[str, Any], model: Mapping[str, Any], price: float) -> Node:
    return {
        **operation,
        "description": f"{model['name']} {model['version']}: {model['description']}",
        "parameters": [each for each in operation["parameters"] if each != _MODEL],
        "responses": {status: each for status, each in operation["responses"].items() if each != _UNKNOWN_MODEL},
        "x-model": model["name"],
        "x-input-files": dict(model["input_files"]),
        "x-worker": {"memory_mb": model["memory_mb"], "dollars_per_gb_second": price},
    }


class _Copy:
    """Copies for one model of the components that depend on a model. Their names end with the model's."""

    def __init__(self, components: Mapping[str, Any], of_a_model: Set[str], model: Mapping[str, Any]) -> None:
        self.components = {kind: dict(named) for kind, named in components.items()}
        self._of_a_model = of_a_model
        self._model = model

    def of(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.of(each) for each in node]
        if not isinstance(node, dict):
            return node
        copy = {key: self.of(each) for key, each in node.items()}
        if node.get("$ref") in self._of_a_model:
            copy["$ref"] = self._component(node["$ref"])
        return copy

    def _component(self, reference: str) -> str:
        _, _, kind, name = reference.split("/")
        stem = name.removeprefix("Model") if name in MODEL_SCHEMAS else name
        made = f"{stem}.{self._model['name']}"
        place = f"#/components/{kind}/{made}"
        if made not in self.components[kind]:
            if name in MODEL_SCHEMAS:
                member, file = MODEL_SCHEMAS[name]
                self.components[kind][made] = as_2020_12(self._model[member], place, file)
            else:
                self.components[kind][made] = self.of(self.components[kind][name])
        return place


def _of_a_model(components: Mapping[str, Any]) -> Set[str]:
    """References to the components that depend on a model."""
    targets = {f"#/components/schemas/{name}" for name in MODEL_SCHEMAS}
    references = {f"#/components/{kind}/{name}" for kind, named in components.items() for name in named}
    return {each for each in references if targets & _reachable({"$ref": each}, components)}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield "/".join(reference.split("/")[:4])  # of a component, or of a part of it
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _references(each)


def _reachable(node: Any, components: Mapping[str, Any]) -> set[str]:
    """The components that a node refers to, directly or by others."""
    found: set[str] = set()
    waiting = [*_references(node)]
    while waiting:
        reference = waiting.pop()
        if reference not in found and reference.startswith("#/components/"):
            found.add(reference)
            _, _, kind, name = reference.split("/")
            waiting += _references(components[kind].get(name))
    return found


def _used(paths: Node, components: Mapping[str, Any]) -> Node:
    """The components without those that nothing refers to."""
    used = _reachable(paths, components)
    return {
        kind: {
            name: each
            for name, each in named.items()
            if kind == "securitySchemes" or f"#/components/{kind}/{name}" in used
        }
        for kind, named in components.items()
    }


def as_text(description: Mapping[str, Any]) -> str:
    """The description as JSON."""
    return json.dumps(description, allow_nan=False, separators=(",", ":"))
