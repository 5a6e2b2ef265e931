"""What a runner at Cog's server, and so at Replicate, does. scripts/packaging/gpu_app.py writes the runner itself: Cog
reads a model's inputs from a method's signature, which has a parameter for each member of the manifest's input schema.

Files are base64 text or a link, as text; and in Cog's own form, a data URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from worker import run_error
from worker.direct import output_of
from worker.isolation import Failed
from worker.model import places
from worker.providers.batching import Batching
from worker.providers.opened import Opened

_DATA_URL = re.compile(r"data:[^,]*;base64,")


class RunFailedError(Exception):
    """Fails the prediction at Cog; its text is `worker.run_error`'s."""


class CogModel:
    """Predicts with the packaged model. Where Cog runs several predictions at a time, those that wait share passes."""

    def __init__(self, opened: Opened | None = None) -> None:
        """Load the model. Raises NotLoadedError."""
        self._opened = opened or Opened()
        self._opened.load()
        manifest = self._opened.manifest
        self._required = frozenset(manifest.input_schema.get("required", ()))
        self._batching = Batching(self._opened.prediction.predict, manifest.batch_size)

    async def run(self, inputs: Mapping[str, Any]) -> Any:
        """The model's output for Cog's inputs, in which a member that was not given is None. Raises RunFailedError."""
        value = {name: given for name, given in inputs.items() if given is not None or name in self._required}
        outcome = await self._batching.predict(with_references(value, self._opened.manifest.input_files))
        if isinstance(outcome, Failed):
            raise RunFailedError(run_error.to_text(outcome))
        return output_of(outcome)


def with_references(value: Any, input_files: Mapping[str, str]) -> Any:
    """An input with Cog's files in our form: a link as a reference, a data URL as its base64."""
    for place in input_files:
        value = places.replace_at(value, places.parse(place), _in_our_form)
    return value


def _in_our_form(found: Any) -> Any:
    if not isinstance(found, str):
        return found
    if found.startswith(("https://", "http://")):  # no base64 has a colon
        return {"$ref": found}
    return _DATA_URL.sub("", found, count=1) if found.startswith("data:") else found
