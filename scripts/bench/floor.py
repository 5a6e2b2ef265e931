"""The floor under our worker's CPU, in the worker's own process: the tokenizer and `session.run` alone, in the passes
that our worker makes; and how much more our worker takes.

How to split a batch into passes is decided before the clock runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from scripts.bench.sections import Sections
from worker.model.bucketing import groups_by_size


class Floor:
    """The bare work of a loaded encoder (`scripts/bench/encoder`)."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._feeds = sys.modules[type(model).__module__].feeds

    def run(self, items: Sequence[dict[str, Any]], batch: int) -> dict[str, float]:
        """Seconds of the clock and of the CPU for the inputs, in batches of this size."""
        batches = [items[start : start + batch] for start in range(0, len(items), batch)]
        passes = [
            [batch[position]["text"] for position in group]
            for batch in batches
            for group in groups_by_size([self._model.size(item) for item in batch], self._model.pass_cost)
        ]
        self.forget()
        began, cpu_began = time.perf_counter(), time.process_time()
        for texts in passes:
            self._model.runtime.run(self._feeds([self._model.tokens(text) for text in texts]))
        return {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}

    def forget(self) -> None:
        """Let the next use of a text tokenize it again."""
        self._model.tokens.cache_clear()


def overhead(module: Any, items: Sequence[dict[str, Any]], batch: int, event: Callable[[Any], Any]) -> dict[str, Any]:
    """Each batch by the handler of the module `worker.handler` and by the floor, one after the other, in turns.

    Args:
        event: the handler's arguments for a batch of inputs.

    Returns:
        cpu_seconds, floor_cpu_seconds: of all batches.
        sections: the handler's, see `Sections.seconds`.
    """
    floor, sections = Floor(module.single.loaded.model), Sections()
    taken = {"cpu_seconds": 0.0, "floor_cpu_seconds": 0.0}

    def by_floor(inputs: Sequence[dict[str, Any]]) -> None:
        taken["floor_cpu_seconds"] += floor.run(inputs, batch)["cpu_seconds"]

    def by_handler(inputs: Sequence[dict[str, Any]]) -> None:
        arguments = event(inputs)
        floor.forget()
        with sections.of_worker(module):
            began = time.process_time()
            answer = module.handler(*arguments)
            taken["cpu_seconds"] += time.process_time() - began
        if answer["batchItemFailures"]:
            raise SystemExit(f"the handler gave messages back: {answer}")

    for turn, start in enumerate(range(0, len(items), batch)):
        for step in (by_floor, by_handler) if turn % 2 else (by_handler, by_floor):
            step(items[start : start + batch])
    return {**taken, "sections": sections.seconds}
