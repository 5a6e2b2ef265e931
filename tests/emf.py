"""CloudWatch's embedded metric format (EMF): a line is checked against the specification, and read as metrics.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
`emf.schema.json` has the constraints of the schema there. `read` checks the rest of the specification: which members
the root must have, and of what type.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema

MAX_LINE_BYTES = 256 * 1024
MAX_VALUES = 100
MAX_DIMENSION_CHARACTERS = 1024

_SCHEMA = jsonschema.Draft7Validator(json.loads(Path(__file__).with_name("emf.schema.json").read_text("utf-8")))


class Metric(NamedTuple):
    """A metric of a line: its namespace, dimensions and unit, and its values."""

    namespace: str
    dimensions: dict[str, str]
    unit: str
    values: list[float]


def read(line: str) -> dict[str, Metric]:
    """The metrics that CloudWatch makes of a line, by name. Fails where the line violates the specification."""
    assert len(line.encode()) <= MAX_LINE_BYTES
    root: dict[str, Any] = json.loads(line)
    _SCHEMA.validate(root)
    found: dict[str, Metric] = {}
    for directive in root["_aws"]["CloudWatchMetrics"]:
        (keys,) = directive["Dimensions"]
        dimensions = {key: root[key] for key in keys}
        for value in dimensions.values():
            assert isinstance(value, str)
            assert 1 <= len(value) <= MAX_DIMENSION_CHARACTERS
        for definition in directive["Metrics"]:
            name = definition["Name"]
            target = root[name]
            values = target if isinstance(target, list) else [target]
            assert 1 <= len(values) <= MAX_VALUES, name
            assert all(type(value) in (int, float) for value in values), name
            assert name not in found, "a member is one metric"
            found[name] = Metric(directive["Namespace"], dimensions, definition.get("Unit", "None"), values)
    return found


def lines_in(output: str) -> list[str]:
    """The lines in EMF of a function's output."""
    return [line for line in output.splitlines() if line.startswith("{") and "_aws" in json.loads(line)]
