"""RunPod's serverless worker: `python -m worker.providers.runpod_handler`.

The SDK takes up to `batch_size` jobs at a time; those that wait while a pass runs go into the next one together.
"""

from __future__ import annotations

from typing import Any

from worker import run_error
from worker.direct import output_of
from worker.isolation import Failed, Outcome, classify
from worker.model.errors import OutputError
from worker.providers.batching import Batching
from worker.providers.opened import Opened

RESERVED = frozenset({"error", "refresh_worker"})
"""Members of an output that the SDK takes for its own, and removes."""


class Handler:
    """Predicts jobs."""

    def __init__(self, opened: Opened) -> None:
        self._batching = Batching(opened.prediction.predict, opened.manifest.batch_size)

    async def __call__(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job's output, or `error`, which fails the job."""
        return answer_of(await self._batching.predict(job["input"]))


def answer_of(outcome: Outcome) -> dict[str, Any]:
    """An outcome as the SDK takes it."""
    if isinstance(outcome, Failed):
        return {"error": run_error.to_text(outcome)}
    output: dict[str, Any] = output_of(outcome)
    if taken := RESERVED & output.keys():
        text = (
            f"RunPod's SDK takes {', '.join(sorted(taken))} of an output for its own; rename it in the model's output"
        )
        return {"error": run_error.to_text(classify(OutputError(text)))}
    return output


def main() -> None:
    """Load the model, and work on jobs until RunPod ends the worker."""
    import runpod

    opened = Opened()
    opened.load()
    size = opened.manifest.batch_size
    runpod.serverless.start({"handler": Handler(opened), "concurrency_modifier": lambda _: size})


if __name__ == "__main__":
    main()
