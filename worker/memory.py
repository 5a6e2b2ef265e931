"""The memory of a worker that serves several models: those that were used the longest time ago are dropped when another
one needs it.

What a model needs is measured: the growth of the process's resident memory while it loads. Before its first load in a
process it is estimated as twice the size of its artifact, and for a model without one as nothing.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from inference.telemetry import Telemetry

BUDGET = 0.75
"""The part of the function's memory that the process may fill by loading models; the rest is for predictions."""

ESTIMATED_BYTES_PER_ARTIFACT_BYTE = 2


class Droppable(Protocol):
    """A model as this module sees it."""

    @property
    def name(self) -> str: ...
    @property
    def artifact_bytes(self) -> int: ...
    def drop(self) -> None: ...


class ModelMemory:
    """Decides which models stay loaded.

    Args:
        budget: bytes of resident memory that the process may have after a load.
        resident: the process's resident memory in bytes.
    """

    def __init__(self, budget: int, telemetry: Telemetry, resident: Callable[[], int] | None = None) -> None:
        self._budget = budget
        self._telemetry = telemetry
        self._resident = resident or resident_bytes
        self._loaded: dict[str, Droppable] = {}
        """By name; the model used last is the last one."""
        self._sizes: dict[str, int] = {}

    def use(self, model: Droppable) -> None:
        """Note that a loaded model is used now."""
        self._loaded[model.name] = self._loaded.pop(model.name, model)

    @contextmanager
    def loading(self, model: Droppable) -> Iterator[None]:
        """The block loads the model: models that must make room for it are dropped before and, if it turned out larger
        than expected, after it. A model that does not fit alone is loaded all the same."""
        expected = self._sizes.get(model.name, model.artifact_bytes * ESTIMATED_BYTES_PER_ARTIFACT_BYTE)
        self._make_room(expected)
        before = self._resident()
        yield
        self._sizes[model.name] = max(self._resident() - before, model.artifact_bytes)
        self._make_room(0)
        self.use(model)

    def _make_room(self, expected: int) -> None:
        while self._loaded and self._resident() + expected > self._budget:
            name = next(iter(self._loaded))
            self._loaded.pop(name).drop()
            _return_free_memory()
            size, resident = _megabytes(self._sizes[name]), _megabytes(self._resident())
            self._telemetry.info("model_dropped", model=name, size_mb=size, resident_mb=resident)


def resident_bytes() -> int:
    """The process's resident memory. Where /proc is missing (macOS) it is 0: there, no model is dropped."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _return_free_memory() -> None:
    """Give freed memory back to the system: glibc keeps it otherwise, and the resident memory would not shrink."""
    gc.collect()
    if sys.platform == "linux":
        import ctypes  # imported only when needed

        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)


def _megabytes(size: int) -> float:
    return round(size / 2**20, 1)
