"""The triggers of a deployment: which objects become requests, of which models, and for whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from inference.sources import Source


class Results(NamedTuple):
    """Where outcomes are written to, beside the table: objects `<prefix><key of the source>/<model>.json` of a
    bucket."""

    bucket: str
    prefix: str


class Trigger(NamedTuple):
    """What an object that is created becomes.

    Attributes:
        bucket, prefix, suffix: which objects; the key begins and ends so.
        models: each gets a request, in this order.
        caller: whose requests these are, as `http.messages` makes it of a call.
        place: where in the inputs the object is; None: the only place that the model's manifest declares.
        input: model name -> what its input has beside the object.
        webhook: a URL, `none`, or None: the deployment's default.
        results: None: nowhere but in the table.
    """

    name: str
    bucket: str
    prefix: str
    suffix: str
    models: tuple[str, ...]
    caller: str
    place: str | None = None
    input: Mapping[str, Any] = MappingProxyType({})
    webhook: str | None = None
    results: Results | None = None

    def takes(self, source: Source) -> bool:
        """Whether an object becomes requests by this trigger."""
        return source.bucket == self.bucket and source.key.startswith(self.prefix) and source.key.endswith(self.suffix)


def triggers_of(text: str) -> Mapping[str, Trigger]:
    """The triggers by name, from the setting that Terraform makes.

    Raises:
        ValueError: it is no JSON object of triggers.
    """
    found = json.loads(text)
    try:
        return {name: _trigger(name, **values) for name, values in found.items()}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not a JSON object of triggers: {error}") from error


def _trigger(name: str, *, models: list[str], results: Mapping[str, str] | None = None, **values: Any) -> Trigger:
    return Trigger(name=name, models=tuple(models), results=Results(**results) if results else None, **values)
