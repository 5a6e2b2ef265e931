"""One call of an app on Modal or Beam: an input becomes `{"output", "run_seconds"}` or `{"error", "run_seconds"}`.

The error is a result, not an exception: both platforms may repeat a call that raises, and so would run an input again
that the model rejects. Whether to run again is the dispatcher's decision, within the request's attempts.
"""

from __future__ import annotations

import time
from typing import Any

from worker import run_error
from worker.direct import output_of
from worker.isolation import Outcome, Succeeded
from worker.providers.batching import Batching
from worker.providers.opened import Opened


class Calls:
    """Answers calls with the packaged model."""

    def __init__(self, opened: Opened | None = None) -> None:
        """Load the model. Raises NotLoadedError."""
        self._opened = opened or Opened()
        self._opened.load()
        self._batching = Batching(self._opened.prediction.predict, self._opened.manifest.batch_size)

    def predict(self, value: Any) -> dict[str, Any]:
        """The answer to one call, in a pass of its own."""
        start = time.monotonic()
        (outcome,) = self._opened.prediction.predict([value])
        return _answer(outcome, time.monotonic() - start)

    async def predict_together(self, value: Any) -> dict[str, Any]:
        """The answer to one of several calls at a time: those that wait while a pass runs share the next one."""
        start = time.monotonic()
        outcome = await self._batching.predict(value)
        return _answer(outcome, time.monotonic() - start)


def _answer(outcome: Outcome, seconds: float) -> dict[str, Any]:
    if isinstance(outcome, Succeeded):
        return {"output": output_of(outcome), "run_seconds": seconds}
    return {"error": run_error.to_text(outcome), "run_seconds": seconds}
