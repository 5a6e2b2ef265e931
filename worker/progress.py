"""Writing what a model reports of its progress into the records of its pass.

A thread writes the last report, at most once a second, in one call for the whole pass; the model goes on meanwhile. A
write is conditional, as every one of an attempt: one that comes after the outcome changes nothing. Where it fails, the
next report is written instead: nothing depends on it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from inference import transitions
from inference.errors import Unavailable
from inference.store.request_table import ConditionFailed, RequestTable
from inference.telemetry import Telemetry
from worker.claims import Claim

SECONDS_BETWEEN = 1.0


class ProgressWriter:
    """Writes the progress of one pass, within its block.

    Args:
        claims: the requests of the pass.
        now: the time in epoch milliseconds.
        seconds: at least so many are between two writes.
    """

    def __init__(
        self,
        table: RequestTable,
        claims: Sequence[Claim],
        now: Callable[[], int],
        telemetry: Telemetry,
        seconds: float = SECONDS_BETWEEN,
    ) -> None:
        self._table = table
        self._claims = claims
        self._now = now
        self._telemetry = telemetry
        self._seconds = seconds
        self._changed = threading.Condition()
        self._latest: str | None = None
        self._over = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # No waiting for a write that is on its way: the outcome comes first.
        with self._changed:
            self._over = True
            self._changed.notify()

    def report(self, fraction: float, message: str) -> None:
        """Let this be written next."""
        with self._changed:
            if self._over:
                return
            self._latest = json.dumps({"fraction": fraction, "message": message})
            if self._thread is None:  # most models report nothing, and need no thread
                self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        not_before = time.monotonic()
        while (progress := self._next(not_before)) is not None:
            not_before = time.monotonic() + self._seconds
            if not self._write(progress):
                with self._changed:
                    self._over = True

    def _next(self, not_before: float) -> str | None:
        """The last report, once it is time to write it; None when the pass is over."""
        with self._changed:
            while not self._over:
                left = not_before - time.monotonic()
                if self._latest is not None and left <= 0:
                    progress, self._latest = self._latest, None
                    return progress
                self._changed.wait(left if self._latest is not None else None)
        return None

    def _write(self, progress: str) -> bool:
        """Returns False if no request of the pass is this invocation's any more: all were cancelled, for example."""
        now = self._now()
        updates = [
            transitions.report_progress(claim.delivery.message.request_id, claim.attempt, progress, now)
            for claim in self._claims
        ]
        results = self._table.apply(updates)
        failed = [result for result in results if isinstance(result, Unavailable)]
        if failed:
            self._telemetry.warning_once("progress_not_written", error=str(failed[0]), requests=len(failed))
        return not all(isinstance(result, ConditionFailed) for result in results)
