"""A GPU provider in memory: runs that end by the clock, and the faults that a test asks for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.unit.fakes import Clock
from worker.backends.base import (
    Callback,
    Failed,
    Gone,
    Look,
    NotAuthentic,
    Refused,
    Running,
    Submission,
    Succeeded,
)


@dataclass
class Run:
    """A run at the provider."""

    run_id: str
    submission: Submission
    ends_at: int
    result: Look
    cancelled: bool = False


@dataclass
class FakeProvider:
    """`Backend` in memory.

    Attributes:
        seconds: how long a run takes.
        result: makes what a run ends with.
        on_submit: faults of the next submits, in their order; one with `taken` is raised after the run began.
        down: every call is refused.
    """

    clock: Clock
    seconds: int = 30
    polls: bool = True
    down: bool = False
    result: Callable[[Submission], Look] = lambda submission: Succeeded({"echo": submission.input["text"]}, 12.5)
    on_submit: list[tuple[Exception, bool]] = field(default_factory=list)
    on_look: list[Exception] = field(default_factory=list)
    on_cancel: list[Exception] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def submit(self, submission: Submission) -> str:
        return str(self._step("provider.submit", lambda: self._submit(submission)))

    def _submit(self, submission: Submission) -> str:
        error, taken = self.on_submit.pop(0) if self.on_submit else (None, True)
        run_id = f"r{next(self._ids)}"
        if taken:
            ends_at = self.clock.now + self.seconds * 1000
            self.runs[run_id] = Run(run_id, submission, ends_at, self.result(submission))
        if error is not None:
            raise error
        return run_id

    def look(self, provider_id: str) -> Look:
        found: Look = self._step("provider.look", lambda: self._look(provider_id))
        return found

    def _look(self, run_id: str) -> Look:
        if self.on_look:
            raise self.on_look.pop(0)
        run = self.runs.get(run_id)
        if run is None:
            return Gone()
        if run.cancelled:
            return Failed("cancelled", retryable=True)
        if run.ends_at > self.clock.now:
            return Running()
        return run.result if self.polls else Gone()

    def cancel(self, provider_id: str) -> None:
        self._step("provider.cancel", lambda: self._cancel(provider_id))

    def _cancel(self, run_id: str) -> None:
        if self.on_cancel:
            raise self.on_cancel.pop(0)
        run = self.runs.get(run_id)
        if run is not None and run.ends_at > self.clock.now:
            run.cancelled = True

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        if headers.get("authorization") != "Bearer provider":
            raise NotAuthentic("no bearer")
        run_id = json.loads(body)["id"]
        return Callback(run_id, None if self.polls else self.runs[run_id].result)

    def _step(self, operation: str, effect: Callable[[], Any]) -> Any:
        self.before(operation)
        if self.down:
            raise Refused("no connection")
        answer = effect()
        self.after(operation)
        return answer

    @property
    def working(self) -> list[str]:
        """The runs that go on."""
        return [run.run_id for run in self.runs.values() if not run.cancelled and run.ends_at > self.clock.now]
